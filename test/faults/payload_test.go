package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/websocket"
	"github.com/roomcast/roomcast/test/fleet"
)

// TestLargePayloads publishes 1 MiB, which arrives, and 33 MiB, which is
// refused and harms nobody.
func TestLargePayloads(t *testing.T) {
	s := set(t, 2)
	s.calm()
	quiet := s.during(t, length(10*time.Second, 3*time.Second), func() {})
	check(t, quiet)
	member := enter(t, s.Instances[1].URL, s.Token)
	loud := s.during(t, length(10*time.Second, 3*time.Second), func() {
		if status, answer := s.publish(t, 1<<20); status/100 != 2 {
			t.Errorf("1 MiB: %d %s", status, answer)
		}
		member.await(1 << 20)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if status, answer := s.publish(t, 33<<20); status != http.StatusRequestEntityTooLarge {
					t.Errorf("33 MiB: %d %s", status, answer)
				}
			})
		}
		all.Wait()
	})
	check(t, loud)
	t.Logf("p99 from end to end: %.1f ms, while large payloads came %.1f ms", quiet.EndToEnd.P99, loud.EndToEnd.P99)
	if loud.Drops > 0 {
		t.Errorf("%d clients lost their connection", loud.Drops)
	}
}

// publish publishes so many bytes at the first instance.
func (s *stage) publish(t *testing.T, n int) (status int, answer string) {
	t.Helper()
	room := "tenant:" + fleet.Tenant
	body, err := json.Marshal(map[string]any{"namespace": "/", "room": room, "event": "listener_event", "data": map[string]any{
		"channelName": room, "data": strings.Repeat("x", n), "mode": "replace", "limit": 1, "timestamp": 1767366245000,
	}})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, s.PublishURLs()[0], bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "api_key "+s.Key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		// A server may answer and close before all of it was sent.
		return 0, err.Error()
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
	return res.StatusCode, string(raw)
}

// member is a client in the room of the tenant.
type member struct {
	t  *testing.T
	ws *websocket.Client
}

func enter(t *testing.T, url, token string) *member {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), url+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	m := &member{t, ws}
	m.next("0")
	m.send(fmt.Sprintf(`40{"token":%q}`, token))
	m.next("40")
	m.send(fmt.Sprintf(`420["join_room","tenant:%s"]`, fleet.Tenant))
	m.next("430")
	return m
}

func (m *member) send(packet string) {
	m.t.Helper()
	if err := m.ws.WriteMessage(websocket.OpText, []byte(packet)); err != nil {
		m.t.Fatal(err)
	}
}

// next returns the next packet that begins with a prefix.
func (m *member) next(prefix string) []byte {
	m.t.Helper()
	m.ws.SetDeadline(time.Now().Add(15 * time.Second))
	for {
		_, b, err := m.ws.ReadMessage()
		if err != nil {
			m.t.Fatalf("waiting for %s: %v", prefix, err)
		}
		if bytes.HasPrefix(b, []byte(prefix)) {
			return b
		}
	}
}

// await returns when an event of at least so many bytes has come.
func (m *member) await(n int) {
	m.t.Helper()
	for len(m.next("42")) < n {
	}
}
