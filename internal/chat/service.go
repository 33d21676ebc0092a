// Package chat keeps conversations between users and the assistant.
//
// A message is answered exactly once: it is stored, acknowledged and queued;
// answers are given one at a time for each room, in order, and whatever goes
// wrong, an answer says so. A message is its instance's to answer; those that
// an instance which is gone left without an answer get one from another, or
// from the next process.
package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/batch"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/fair"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/waitgroup"
)

// A Publisher sends an event to a room. It knows the epoch of positions, which
// come without.
type Publisher interface {
	Publish(room events.Room, pos cluster.Position, p events.Payload) error
}

// Options configure a [Service].
type Options struct {
	Store     Store
	Publisher Publisher
	Assistant Assistant
	// Tools do what the assistant proposes; nil is for one that does not.
	Tools  Tools
	Logger *slog.Logger
	// Holds reports whether the identity of a message that has waited still is
	// good; the error is for the client. nil believes so.
	Holds func(id *auth.Identity) error
	// Owner returns the id under which this instance answers now, "" if it must
	// not. nil is for a store that no other instance uses.
	Owner func() string
	// Peers reach other instances, for turns that go on there; nil if there are
	// none.
	Peers Peers
	// Announce has the other instances call [Service.Changed]; nil if there are
	// none.
	Announce func(data []byte)
	// Timeout bounds one answer. Default 5 min, as long as a model may take.
	Timeout time.Duration
	// Waiting bounds the messages of a room that wait for an answer. Default 32.
	Waiting int
	// Refuse refuses a message while another of the room is being answered,
	// instead of letting it wait.
	Refuse bool
	// Turns bounds how many messages are answered at once, and TurnsPerTenant
	// how many of one tenant. Default 256, and no bound.
	Turns, TurnsPerTenant int
	// MaxMessage bounds what a user says, in bytes. Default 64 KiB.
	MaxMessage int
	// History is how many earlier messages an assistant gets. Default 50.
	History int
	// TokensPerDay bounds what models take for one tenant on a day, in UTC.
	// 0 is no bound.
	TokensPerDay int
	// Estimate guesses the tokens that a turn took when the assistant could not
	// tell: it panicked, or its server died. said is what it had said. nil is for
	// an assistant that takes none.
	Estimate func(t Turn, said string) Usage
	// Moderator judges what is said to the assistant and what it answers; nil
	// lets everything be said.
	Moderator Moderator
	// AllowUnjudged lets be said what the Moderator could not judge.
	AllowUnjudged bool
	// LogPrompts writes what is said to the assistant, and by it, to Logger,
	// which must take secrets out.
	LogPrompts bool
}

// Peers reach other instances.
type Peers interface {
	// Call asks an instance to do something and returns its answer. Other
	// errors than an *events.Error tell that there was no answer.
	Call(ctx context.Context, instance, method string, payload []byte) ([]byte, error)
}

// A Service keeps conversations. Its methods may be called concurrently.
type Service struct {
	opts    Options
	slots   *fair.Slots
	pieces  *batch.Writer[[]Piece]
	counts  *counter
	leave   func(ctx context.Context, c Change)
	working sync.WaitGroup // holds of queues, and changes

	mu     sync.Mutex
	ctx    context.Context // of answers
	cancel context.CancelFunc
	rooms  map[string]*queue // rooms with messages to answer
	turns  map[string]*turn  // by room, those that are being taken
	deeds  map[string]*deed  // by approval
	closed bool
}

// queue are the turns of a room that wait, behind the one being taken.
type queue struct {
	saying  sync.Mutex // held while a message is stored and queued
	users   int        // goroutines that hold the queue or are about to
	turns   []Turn
	running bool
}

// NewService returns a Service. Nothing runs before the first message.
func NewService(opts Options) *Service {
	if opts.Timeout <= 0 {
		opts.Timeout = 5 * time.Minute
	}
	if opts.Waiting <= 0 {
		opts.Waiting = 32
	}
	if opts.Owner == nil {
		alone := uuid.NewString()
		opts.Owner = func() string { return alone }
	}
	if opts.Turns <= 0 {
		opts.Turns = 256
	}
	if opts.MaxMessage <= 0 {
		opts.MaxMessage = 64 << 10
	}
	if opts.History <= 0 {
		opts.History = 50
	}
	s := &Service{opts: opts, rooms: make(map[string]*queue), turns: make(map[string]*turn), deeds: make(map[string]*deed), slots: fair.New(opts.Turns, opts.TurnsPerTenant), counts: newCounter()}
	s.pieces = batch.New(batch.Options[[]Piece]{Write: s.addToStream})
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Answering reports whether messages of a room wait for an answer of this
// instance.
func (s *Service) Answering(roomID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rooms[roomID] != nil
}

// history is how much of a conversation a joining client gets.
const history = 50

// Open begins a conversation. Without a tenant the first message says which,
// unless the user has only one.
func (s *Service) Open(ctx context.Context, id *auth.Identity, tenant string) (Room, error) {
	if tenant == "" {
		tenant, _ = id.OnlyTenant()
	}
	if tenant != "" && !id.Can(auth.Chat, tenant) {
		return Room{}, events.NotFound("tenant", tenant)
	}
	if once.Again(ctx) {
		if made, err := s.opts.Store.Room(ctx, once.ID(ctx, "chat room")); !errors.Is(err, ErrNotFound) {
			return made, err
		}
	}
	now := time.Now().UTC()
	r := Room{ID: once.ID(ctx, "chat room"), Tenant: tenant, Owner: id.User, At: now, ChangedAt: now}
	if err := s.opts.Store.CreateRoom(ctx, r); err != nil {
		return Room{}, fmt.Errorf("creating chat room: %w", err)
	}
	return r, nil
}

// Room returns a conversation that the user may take part in.
func (s *Service) Room(ctx context.Context, id *auth.Identity, roomID string) (Room, error) {
	r, err := s.opts.Store.Room(ctx, roomID)
	switch {
	case errors.Is(err, ErrNotFound):
		return Room{}, events.NotFound("chat room", roomID)
	case err != nil:
		return Room{}, fmt.Errorf("reading chat room: %w", err)
	}
	if may, err := s.mayUse(ctx, id, r); err != nil {
		return Room{}, err
	} else if !may {
		return Room{}, events.NotFound("chat room", roomID)
	}
	return r, nil
}

// mayUse reports whether a user takes part in a room.
func (s *Service) mayUse(ctx context.Context, id *auth.Identity, r Room) (bool, error) {
	switch {
	case r.Tenant != "" && !id.Can(auth.Chat, r.Tenant):
		return false, nil
	case r.Owner == id.User:
		return true, nil
	case r.Tenant == "":
		return false, nil // it has not begun
	}
	member, err := s.opts.Store.IsMember(ctx, r.ID, id.User)
	if err != nil {
		return false, fmt.Errorf("reading members of chat room: %w", err)
	}
	return member, nil
}

// Recent returns the latest messages of a room, oldest first: a page of them.
func (s *Service) Recent(ctx context.Context, r Room) ([]Message, error) {
	messages, _, err := s.Before(ctx, r, 0, history)
	return messages, err
}

// pageBytes is how much text a page of messages has at most, unless one has
// more.
const pageBytes = 256 << 10

// Before returns messages of a room before a number, 0 for the latest, oldest
// first, and whether there are more before those.
func (s *Service) Before(ctx context.Context, r Room, before uint64, limit int) (messages []Message, more bool, err error) {
	messages, err = s.opts.Store.Messages(ctx, r.ID, before, limit+1)
	if err != nil {
		return nil, false, fmt.Errorf("reading messages: %w", err)
	}
	first, size := len(messages), 0
	for first > 0 && len(messages)-first < limit {
		if size += len(messages[first-1].Text); size > pageBytes && first < len(messages) {
			break
		}
		first--
	}
	return messages[first:], first > 0, nil
}

// Words are what a user says in a room.
type Words struct {
	Tenant  string // must be the room's, unless ""
	Text    string
	Action  Action
	Session string // the public id of the session they come from, "" if from none
}

// Say stores a message, tells the members of the room and sees to it that it is
// answered. One that is to be said once and was stored before is left alone: it
// has been answered, or will be.
func (s *Service) Say(ctx context.Context, id *auth.Identity, roomID string, w Words) (Message, error) {
	if len(w.Text) > s.opts.MaxMessage {
		return Message{}, events.FieldErrorf("message", "has %d bytes, and may have %d", len(w.Text), s.opts.MaxMessage)
	}
	r, err := s.Room(ctx, id, roomID)
	if err != nil {
		return Message{}, err
	}
	if r, err = s.bind(ctx, id, r, w.Tenant); err != nil {
		return Message{}, err
	}
	key := once.ID(ctx, "chat message")
	if once.Again(ctx) {
		if said, err := s.opts.Store.Said(ctx, roomID, key); !errors.Is(err, ErrNotFound) {
			return said, err
		}
	}
	q, err := s.hold(roomID)
	if err != nil {
		return Message{}, err
	}
	defer s.drop(roomID, q)
	q.saying.Lock()
	defer q.saying.Unlock()
	if err := ctx.Err(); err != nil {
		return Message{}, err
	}
	owner := s.opts.Owner()
	if owner == "" {
		return Message{}, away()
	}
	// From here on it is answered: nothing may refuse what has been stored, or
	// a client that says it again gets two answers.
	m, err := s.opts.Store.Append(context.WithoutCancel(ctx), Message{
		RoomID: r.ID, Speaker: User, User: id.User, Session: w.Session, Text: w.Text, Action: w.Action, At: time.Now().UTC(), Owner: owner, Key: key,
	}, s.mayBeOpen())
	switch {
	case errors.Is(err, ErrNotFound):
		return Message{}, events.NotFound("chat room", roomID)
	case errors.Is(err, ErrBusy):
		return Message{}, s.busy()
	case err != nil:
		if _, refused := events.Public(err); !refused {
			s.uncertain(r, key)
		}
		return Message{}, fmt.Errorf("storing message: %w", err)
	}
	s.publishMessage(m)
	if r.Title == "" {
		s.name(context.WithoutCancel(ctx), m)
	}
	s.enqueue(q, Turn{Identity: id, Room: r, Message: m})
	return m, nil
}

// mayBeOpen is how many messages of a room may have no answer when another
// comes.
func (s *Service) mayBeOpen() int {
	if s.opts.Refuse {
		return 0
	}
	return s.opts.Waiting // behind the one that is being answered, with the new one
}

func (s *Service) busy() error {
	if s.opts.Refuse {
		return events.Errorf(events.CodeConflict, "another message of the room is being answered: wait, or stop it with ai_chat_stop")
	}
	return events.Errorf(events.CodeConflict, "%d messages already wait for an answer: wait for one", s.opts.Waiting)
}

// bind checks the tenant of a message, and gives it to a room that has none.
func (s *Service) bind(ctx context.Context, id *auth.Identity, r Room, tenant string) (Room, error) {
	switch {
	case tenant != "" && !id.Can(auth.Chat, tenant), tenant != "" && r.Tenant != "" && tenant != r.Tenant:
		return Room{}, notInTenant(r.ID, tenant)
	case r.Tenant == "" && tenant == "":
		return Room{}, events.FieldErrorf("tenantID", "is missing: you belong to several tenants")
	case r.Tenant == "":
		bound, err := s.opts.Store.BindRoom(ctx, r.ID, tenant)
		if err != nil {
			return Room{}, fmt.Errorf("binding chat room: %w", err)
		}
		if bound.Tenant != tenant { // another message was faster
			return Room{}, notInTenant(r.ID, tenant)
		}
		return bound, nil
	}
	return r, nil
}

func notInTenant(roomID, tenant string) error {
	e := events.Errorf(events.CodeNotFound, "chat room %s not found in tenant %s", roomID, tenant)
	e.Field = "tenantID"
	return e
}

// hold returns the queue of a room, and keeps it until drop. It fails when the
// service is closing; Close waits for those who hold a queue.
func (s *Service) hold(roomID string) (*queue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, stopping()
	}
	s.working.Add(1)
	q := s.rooms[roomID]
	if q == nil {
		q = &queue{}
		s.rooms[roomID] = q
	}
	q.users++
	return q, nil
}

func stopping() error {
	return events.Errorf(events.CodeConflict, "the server is shutting down: send it again in a moment")
}

func away() error {
	return events.Errorf(events.CodeConflict, "the server has been away from its database: send it again in a moment")
}

func (s *Service) drop(roomID string, q *queue) {
	defer s.working.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	q.users--
	if q.users == 0 {
		delete(s.rooms, roomID)
	}
}

// enqueue puts a turn behind those that wait. The caller holds the queue.
func (s *Service) enqueue(q *queue, t Turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q.turns = append(q.turns, t)
	if q.running {
		return
	}
	q.running = true
	q.users++
	s.working.Add(1)
	go func() {
		defer s.drop(t.Room.ID, q)
		s.run(q)
	}()
}

// run takes the turns of a room one after the other.
func (s *Service) run(q *queue) {
	for {
		s.mu.Lock()
		if len(q.turns) == 0 {
			q.running = false
			s.mu.Unlock()
			return
		}
		t := q.turns[0]
		q.turns = q.turns[1:]
		s.mu.Unlock()
		s.answer(t)
	}
}

// lastWords bounds the part of the time to close, a quarter, that is left to store
// answers which are cut short.
const lastWords = 2 * time.Second

// Close lets no further messages in and waits until those that wait have been
// answered. Before ctx ends answers are cut short, which is an error, and stored
// as far as they got; nothing is written after Close, unless that took longer
// than ctx.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	patient, cancel := ctx, context.CancelFunc(func() {})
	if end, ok := ctx.Deadline(); ok {
		patient, cancel = context.WithTimeout(ctx, time.Until(end)-min(lastWords, time.Until(end)/4))
	}
	defer cancel()
	err := waitgroup.Wait(patient, &s.working)
	if err != nil {
		s.mu.Lock()
		s.cancel()
		s.mu.Unlock()
		waitgroup.Wait(ctx, &s.working)
	}
	return err
}
