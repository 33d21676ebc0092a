package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/history"
	"github.com/roomcast/roomcast/internal/once"
)

// publishing is a batch on its way.
type publishing struct {
	*Service
	user, tenant string
	results      []Result
	rooms        map[events.Room]owner
}

// owner is whose a room is.
type owner struct {
	kind auth.RoomKind
	err  error
}

// parallel is how many rooms of a batch are published to at once.
const parallel = 8

// publish checks all messages, then publishes those to each room in order.
func (p *publishing) publish(ctx context.Context, batch []Envelope) {
	byRoom := make(map[events.Room][]int)
	var toOwners copies
	for i := range batch {
		err := p.check(ctx, &batch[i])
		if err == nil {
			err = toOwners.add(ctx, p, &batch[i], i)
		}
		if err != nil {
			p.fail(i, err)
			continue
		}
		byRoom[batch[i].Room] = append(byRoom[batch[i].Room], i)
	}
	for k, e := range toOwners.list {
		byRoom[e.Room] = append(byRoom[e.Room], len(batch)+k)
	}
	batch = append(batch[:len(batch):len(batch)], toOwners.list...)
	p.results = append(p.results, make([]Result, len(toOwners.list))...)
	var all sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for _, of := range byRoom {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			p.toRoom(ctx, batch, of)
		})
	}
	all.Wait()
	p.results = toOwners.settle(p.results)
}

// fail is the result of a message that is not published.
func (p *publishing) fail(i int, err error) {
	e, meant := events.Public(err)
	if !meant {
		p.opts.Logger.Error("message was not published", "tenant", p.tenant, "error", err)
	}
	p.results[i] = Result{Error: e}
}

// check reports what is wrong with a message, and fills in what it left out.
func (p *publishing) check(ctx context.Context, e *Envelope) error {
	if e.Namespace == "" {
		e.Namespace = "/"
	}
	switch {
	case e.Namespace != "/":
		return events.FieldErrorf("namespace", "%q has no rooms to publish to: leave it out, or say /", e.Namespace)
	case e.Room == "":
		return events.FieldErrorf("room", "is missing")
	case e.Event == "":
		return events.FieldErrorf("event", "is missing")
	case len(e.Data) == 0:
		return events.FieldErrorf("data", "is missing")
	case e.ID != "" && !once.Valid(e.ID):
		return events.FieldErrorf("id", "is not 1 to 128 printable characters")
	}
	o := p.owner(ctx, e.Room)
	if o.err != nil {
		return o.err
	}
	if by, ok := numbered[o.kind][e.Event]; ok {
		return events.FieldErrorf("event", "%s is numbered there by %s, which alone publishes it", e.Event, by)
	}
	if err := p.checkData(e); err != nil {
		return err
	}
	return about(e)
}

func (p *publishing) checkData(e *Envelope) error {
	if !utf8.Valid(e.Data) {
		return events.FieldErrorf("data", "is not UTF-8")
	}
	if err := p.opts.Contract.Publication(e.Namespace, e.Event, e.Data); err != nil {
		return within("data", err)
	}
	var has struct {
		Offset json.RawMessage `json:"offset"`
	}
	if json.Unmarshal(e.Data, &has); has.Offset != nil {
		return events.FieldErrorf("data.offset", "is for the server to say")
	}
	return nil
}

// within makes a field that an error names one of data.
func within(at string, err error) error {
	var e *events.Error
	if !errors.As(err, &e) || e.Code != events.CodeValidation {
		return err
	}
	path := at
	if e.Field != "payload" {
		path += "." + e.Field
	}
	return events.FieldErrorf(path, "%s", strings.TrimPrefix(e.Message, e.Field+": "))
}

// owner returns what a room is of, if it is the tenant's. What does not exist
// and what is another's are refused alike.
func (p *publishing) owner(ctx context.Context, room events.Room) owner {
	if o, ok := p.rooms[room]; ok {
		return o
	}
	kind, tenant, err := p.opts.Rooms.Owner(ctx, room)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && tenant != p.tenant:
		e := events.NotFound("room", string(room))
		e.Field = "room"
		err = e
	case err != nil:
		err = fmt.Errorf("looking up room: %w", err)
	}
	p.rooms[room] = owner{kind, err}
	return p.rooms[room]
}

// toRoom publishes checked messages of one room in their order: those without
// an id together, those with one by one.
func (p *publishing) toRoom(ctx context.Context, batch []Envelope, of []int) {
	for len(of) > 0 {
		n := 0
		for n < len(of) && batch[of[n]].ID == "" {
			n++
		}
		if n == 0 {
			p.once(ctx, &batch[of[0]], of[0])
			of = of[1:]
			continue
		}
		together := make([]history.Message, n)
		for i, at := range of[:n] {
			together[i] = message(&batch[at], "")
		}
		for i, r := range p.send(ctx, together) {
			p.settle(of[i], r)
		}
		of = of[n:]
	}
}

func message(e *Envelope, key string) history.Message {
	return history.Message{Room: e.Room, Event: e.Event, Data: e.Data, Key: key}
}

// send publishes messages of one room.
func (p *publishing) send(ctx context.Context, all []history.Message) []history.Result {
	switch p.rooms[all[0].Room].kind {
	case "run", "chat": // what their journals do not number is not kept
		for _, m := range all {
			p.opts.Live.PublishLive(m.Room, m.Event, m.Data)
		}
		return make([]history.Result, len(all))
	}
	return p.opts.History.PublishAll(ctx, all)
}

func (p *publishing) settle(i int, r history.Result) {
	if r.Err != nil {
		p.fail(i, r.Err)
		return
	}
	p.results[i] = Result{OK: true, Offset: r.Position.Offset, Epoch: r.Position.Epoch}
}

// once publishes a message with an id.
func (p *publishing) once(ctx context.Context, e *Envelope, i int) {
	sum := sha256.New()
	for _, part := range [][]byte{[]byte(e.Room), []byte(e.Event), e.Data} {
		fmt.Fprintf(sum, "%d ", len(part))
		sum.Write(part)
	}
	ctx, cancel := context.WithTimeout(ctx, p.opts.Wait)
	defer cancel()
	name := once.Name{User: p.user, Event: "publish " + p.tenant, ID: e.ID}
	reply, repeated, err := p.opts.Once.Do(ctx, name, hex.EncodeToString(sum.Sum(nil)), func(ctx context.Context) ([]byte, error) {
		r := p.send(ctx, []history.Message{message(e, once.Key(ctx, "publication"))})[0]
		if r.Err != nil {
			return nil, r.Err
		}
		return json.Marshal(Result{OK: true, Offset: r.Position.Offset, Epoch: r.Position.Epoch})
	})
	switch {
	case errors.Is(err, once.ErrOtherPayload):
		err = &events.Error{Code: events.CodeConflict, Field: "id", Message: "id: was used for another message: choose a new one"}
	case errors.Is(err, context.DeadlineExceeded):
		err = events.Errorf(events.CodeTimeout, "a message with this id is being published: repeat it")
	case err == nil:
		err = json.Unmarshal(reply, &p.results[i])
		p.results[i].Replayed = repeated
	}
	if err != nil {
		p.fail(i, err)
	}
}
