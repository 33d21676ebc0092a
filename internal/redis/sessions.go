package redis

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/roomcast/roomcast/internal/cluster"
)

// sessionKey begins the keys of sessions, as in JavaScript servers.
const sessionKey = "sio:session:"

// sinceCount is how many entries are asked for at a time.
const sinceCount = 500

// Save implements [cluster.Sessions].
func (b *Bus) Save(ctx context.Context, s *cluster.SavedSession, ttl time.Duration) error {
	if b.streams == nil {
		return nil
	}
	l := b.link.Load()
	if l == nil {
		return cluster.ErrUnavailable
	}
	value, err := encodeSession(s)
	if err != nil {
		return fmt.Errorf("encoding a session: %w", err)
	}
	if err := l.client.Set(ctx, sessionKey+s.PID, value, ttl).Err(); err != nil {
		return fmt.Errorf("saving a session: %w", err)
	}
	return nil
}

// Take implements [cluster.Sessions].
func (b *Bus) Take(ctx context.Context, pid string) (*cluster.SavedSession, error) {
	if b.streams == nil {
		return nil, nil
	}
	l := b.link.Load()
	if l == nil {
		return nil, cluster.ErrUnavailable
	}
	value, err := l.client.GetDel(ctx, sessionKey+pid).Result()
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("taking a session: %w", err)
	}
	s, err := decodeSession(value)
	if err != nil || s.PID != pid {
		b.in.bad("session", errors.Join(err, errors.New("not what was asked for")))
		return nil, nil
	}
	return s, nil
}

func encodeSession(s *cluster.SavedSession) (string, error) {
	js := append(make([]byte, 0, 256), `{"sid":`...)
	js = appendJSONString(js, s.ID)
	js = appendMember(js, "pid", s.PID)
	js = append(js, `,"rooms":`...)
	js = appendNames(js, s.Rooms)
	js = append(js, `,"data":`...)
	js = append(js, orElse(s.Data, "{}")...)
	if s.Private != nil {
		js = appendMember(js, "roomcast", base64.StdEncoding.EncodeToString(s.Private))
	}
	packed, err := appendMsgpack(nil, append(js, '}'), nil)
	return base64.StdEncoding.EncodeToString(packed), err
}

func decodeSession(value string) (*cluster.SavedSession, error) {
	packed, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, err
	}
	js, _, err := fromMsgpack(packed, inline)
	if err != nil {
		return nil, err
	}
	var s struct {
		SID     text            `json:"sid"`
		PID     text            `json:"pid"`
		Rooms   names           `json:"rooms"`
		Data    json.RawMessage `json:"data"`
		Private []byte          `json:"roomcast"`
	}
	if err := unmarshal(js, &s); err != nil {
		return nil, err
	}
	return &cluster.SavedSession{ID: string(s.SID), PID: string(s.PID), Rooms: s.Rooms, Data: orElse(s.Data, "{}"), Private: s.Private}, nil
}

// Since implements [cluster.Sessions]. It does not return what may be lost.
func (b *Bus) Since(ctx context.Context, namespace string, id cluster.ID) (messages []*cluster.Message, complete bool, err error) {
	if b.streams == nil {
		return nil, false, nil
	}
	l := b.link.Load()
	if l == nil {
		return nil, false, cluster.ErrUnavailable
	}
	name := b.streams.names()[b.streams.stream(namespace)]
	from := cluster.ID{Ms: id.Ms, Seq: id.Seq}.String()
	for at := from; ; {
		entries, err := l.client.XRangeN(ctx, name, at, "+", sinceCount).Result()
		if err != nil {
			return nil, false, fmt.Errorf("reading the stream: %w", err)
		}
		for _, e := range entries {
			if e.ID == from {
				complete = true
				continue
			}
			if m := b.kept(namespace, e); m != nil {
				messages = append(messages, m)
			}
		}
		if !complete {
			return nil, false, nil
		}
		if len(entries) < sinceCount {
			return messages, true, nil
		}
		at = "(" + entries[len(entries)-1].ID
	}
}

// kept decodes an entry if it is a broadcast of the namespace.
func (b *Bus) kept(namespace string, e goredis.XMessage) *cluster.Message {
	if e.Values[fieldNamespace] != namespace || e.Values[fieldType] != "3" {
		return nil
	}
	in, err := readEntry(e.Values)
	if err != nil || in.message == nil || in.message.Volatile {
		return nil
	}
	in.message.ID, _ = cluster.ParseID(e.ID)
	return in.message
}
