package chat_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/eventually"
)

func repeat(_ context.Context, t chat.Turn) (chat.Reply, error) {
	return chat.Reply{Text: t.Message.Text}, nil
}

// told keeps what is said of rooms.
type told struct {
	mu  sync.Mutex
	all []string
}

func (o *told) Publish(_ events.Room, pos cluster.Position, p events.Payload) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch p := p.(type) {
	case events.AIChatRoomUpdated:
		o.all = append(o.all, fmt.Sprint(p.Title, p.Members))
	case events.AIChatMemberMessage:
		o.all = append(o.all, fmt.Sprintf("%d-%d %s by %s of %s", pos.Prev, pos.Offset, p.Text, p.SessionID, p.UserID))
	}
	return nil
}

func (o *told) take() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer func() { o.all = nil }()
	return strings.Join(o.all, ", ")
}

// A room is called after what was said first, until its owner says otherwise.
func TestTitles(t *testing.T) {
	f := newFixture(t, chat.Options{}, repeat)
	out := &told{}
	svc := chat.NewService(chat.Options{Store: f.store, Publisher: out, Assistant: assistantFunc(repeat), Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() { svc.Close(context.Background()) })
	long := strings.Repeat("é", 70)
	for first, title := range map[string]string{
		"\n  What is new?  \nTell me all.": "What is new?",
		long:                               strings.Repeat("é", 59) + "…",
		" \n ":                             "",
	} {
		room := f.room(ada)
		for _, text := range []string{first, "second"} {
			if _, err := svc.Say(t.Context(), ada, room, chat.Words{Text: text}); err != nil {
				t.Fatal(err)
			}
		}
		if title == "" {
			title = "second"
		}
		if r, err := svc.Room(t.Context(), ada, room); err != nil || r.Title != title {
			t.Errorf("%q was called %q, %v", first, r.Title, err)
		}
	}
	out.take()
	room := f.room(ada)
	if _, err := svc.Say(t.Context(), ada, room, chat.Words{Text: "one", Session: "s1"}); err != nil {
		t.Fatal(err)
	}
	r, err := svc.Room(t.Context(), ada, room)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = svc.Rename(t.Context(), ada, r, " News "); err != nil || r.Title != "News" {
		t.Error(r, err)
	}
	if got := out.take(); got != "0-1 one by s1 of ada, one[], News[]" {
		t.Errorf("members were told %s", got)
	}
	for title, want := range map[string]events.Code{" ": events.CodeValidation, strings.Repeat("x", 201): events.CodeValidation} {
		if _, err := svc.Rename(t.Context(), ada, r, title); code(err) != want {
			t.Errorf("%q: %v", title, err)
		}
	}
	if _, err := svc.Rename(t.Context(), bob, r, "mine"); code(err) != events.CodePermissionDenied {
		t.Errorf("a stranger renames it: %v", err)
	}
}

// Members take part once they were let in, and no longer when they were
// removed; who must leave is told on all instances.
func TestMembers(t *testing.T) {
	var notes []string
	f := newFixture(t, chat.Options{Announce: func(data []byte) { notes = append(notes, string(data)) }}, repeat)
	var mu sync.Mutex
	var changes []chat.Change
	f.svc.OnChange(func(_ context.Context, c chat.Change) {
		mu.Lock()
		defer mu.Unlock()
		changes = append(changes, c)
	})
	ctx := t.Context()
	room := f.room(ada)
	f.say(room, "hello", chat.None)
	r, err := f.svc.Room(ctx, ada, room)
	if err != nil {
		t.Fatal(err)
	}
	enters := func(id *auth.Identity, want events.Code) {
		t.Helper()
		if _, err := f.svc.Room(ctx, id, room); code(err) != want {
			t.Errorf("%s enters: %v", id.User, err)
		}
		if _, err := f.svc.Say(ctx, id, room, chat.Words{Text: "x"}); code(err) != want {
			t.Errorf("%s says something: %v", id.User, err)
		}
	}
	enters(bob, events.CodeNotFound)
	for range 2 { // again is fine
		if err := f.svc.AddMember(ctx, ada, r, "bob"); err != nil {
			t.Fatal(err)
		}
	}
	enters(bob, "")
	// A member of another tenant's finds nothing, added or not.
	foreign := &auth.Identity{User: "zoe", Tenants: []auth.Membership{{ID: "other", Role: auth.Admin}}}
	if err := f.svc.AddMember(ctx, ada, r, "zoe"); err != nil {
		t.Fatal(err)
	}
	enters(foreign, events.CodeNotFound)
	if err := f.svc.AddMember(ctx, bob, r, "many"); code(err) != events.CodePermissionDenied {
		t.Errorf("a member adds one: %v", err)
	}
	if err := f.svc.RemoveMember(ctx, bob, r, "zoe"); code(err) != events.CodePermissionDenied {
		t.Errorf("a member removes one: %v", err)
	}
	if err := f.svc.RemoveMember(ctx, ada, r, "ada"); code(err) != events.CodeValidation {
		t.Errorf("the owner leaves: %v", err)
	}
	for _, user := range []string{"", strings.Repeat("u", 129)} {
		if err := f.svc.AddMember(ctx, ada, r, user); code(err) != events.CodeValidation {
			t.Errorf("%q: %v", user, err)
		}
	}
	if err := f.svc.RemoveMember(ctx, bob, r, "bob"); err != nil { // by oneself
		t.Fatal(err)
	}
	if err := f.svc.RemoveMember(ctx, ada, r, "bob"); err != nil {
		t.Fatal(err)
	}
	enters(bob, events.CodeNotFound)
	if members, err := f.svc.Members(ctx, r); err != nil || len(members) != 2 || members[0].User != "ada" || members[1].User != "zoe" {
		t.Error(members, err)
	}
	want := fmt.Sprintf(`{"roomID":%q}`, room)
	if !slices.Equal(notes, []string{want}) || !slices.Equal(changes, []chat.Change{{RoomID: room}}) {
		t.Errorf("announced %v, changed %v", notes, changes)
	}
	f.svc.Changed([]byte(want))
	f.svc.Changed(nil)
	eventually.True(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(changes) == 3
	})
}

// A conversation has a bound of members. Who is one may be added again.
func TestManyMembers(t *testing.T) {
	f := newFixture(t, chat.Options{}, repeat)
	room := f.room(ada)
	f.say(room, "hello", chat.None)
	r, err := f.svc.Room(t.Context(), ada, room)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 102 {
		if err := f.svc.AddMember(t.Context(), ada, r, fmt.Sprint("user", i)); i < 100 && err != nil || i >= 100 && code(err) != events.CodeConflict {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if err := f.svc.AddMember(t.Context(), ada, r, "user7"); err != nil {
		t.Errorf("again: %v", err)
	}
}

// What somebody said who was removed before its turn came is answered, and
// neither decides anything nor is asked of the assistant.
func TestRemovedWhileWaiting(t *testing.T) {
	goOn, tools := make(chan struct{}), &bench{}
	f := newFixture(t, chat.Options{Tools: tools}, func(ctx context.Context, turn chat.Turn) (chat.Reply, error) {
		switch turn.Message.Text {
		case "wait":
			<-goOn
		case "question":
			t.Error("the assistant was asked")
		}
		return proposing(ctx, turn)
	})
	room, _ := f.proposed()
	r, err := f.svc.Room(t.Context(), ada, room)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.svc.AddMember(t.Context(), ada, r, "bob"); err != nil {
		t.Fatal(err)
	}
	f.say(room, "wait", chat.None)
	for _, text := range []string{"approve", "question"} {
		if _, err := f.svc.Say(t.Context(), bob, room, chat.Words{Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.svc.RemoveMember(t.Context(), ada, r, "bob"); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	<-f.said
	for range 2 {
		if got := <-f.said; !strings.Contains(got, "bob does not take part in the conversation any more") {
			t.Errorf("answered with %q", got)
		}
	}
	if did := tools.deeds(); len(did) != 0 {
		t.Errorf("done: %v", did)
	}
}

// Of a room that is deleted while an answer is being given nothing is left, and
// nobody goes on with the answer.
func TestDeletionDuringATurn(t *testing.T) {
	a := newSpeaker()
	svc, l, store := newStreams(t, a)
	var changes []chat.Change
	svc.OnChange(func(_ context.Context, c chat.Change) { changes = append(changes, c) })
	room := begin(t, svc, "go")
	say(t, svc, room, "and then")
	<-a.began
	a.pieces <- "some"
	eventually.True(t, func() bool { return l.heard() == "some" })
	r, err := svc.Room(t.Context(), ada, room)
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Delete(t.Context(), bob, r); code(err) != events.CodePermissionDenied {
		t.Errorf("a stranger deletes it: %v", err)
	}
	if err := svc.Delete(t.Context(), ada, r); err != nil {
		t.Fatal(err)
	}
	if err := svc.Close(t.Context()); err != nil { // the turns are over
		t.Fatal(err)
	}
	if len(l.said) != 0 || len(a.began) != 0 {
		t.Errorf("answered %q, %d began", l.said, len(a.began))
	}
	if !slices.Equal(changes, []chat.Change{{RoomID: room, Deleted: true}}) {
		t.Errorf("changed %v", changes)
	}
	if err := svc.Delete(t.Context(), ada, r); code(err) != events.CodeNotFound {
		t.Errorf("deleted again: %v", err)
	}
	if _, err := store.Room(t.Context(), room); !errors.Is(err, chat.ErrNotFound) {
		t.Error(err)
	}
	if left, err := store.Messages(t.Context(), room, 0, 10); err != nil || len(left) != 0 {
		t.Error(left, err)
	}
}

// Pages of rooms and of messages have no gap and repeat nothing, while more is
// said.
func TestPages(t *testing.T) {
	f := newFixture(t, chat.Options{}, repeat)
	ctx := t.Context()
	var want []string
	for range 5 {
		room := f.room(ada)
		f.say(room, "x", chat.None)
		<-f.said
		want = append([]string{room}, want...)
	}
	var got []string
	for cursor := ""; ; {
		rooms, next, err := f.svc.Rooms(ctx, ada, "acme", cursor, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rooms {
			got = append(got, r.ID)
		}
		if cursor = next; next == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, cursor := range []string{"x", "_", "0_a", "9"} {
		if _, _, err := f.svc.Rooms(ctx, ada, "acme", cursor, 2); code(err) != events.CodeValidation {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
	if _, _, err := f.svc.Rooms(ctx, ada, "other", "", 2); code(err) != events.CodeNotFound {
		t.Error(err)
	}

	r, err := f.svc.Room(ctx, ada, want[0])
	if err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("y", 60<<10)
	for range 6 {
		f.say(r.ID, large, chat.None)
		<-f.said
	}
	recent, err := f.svc.Recent(ctx, r)
	if err != nil || len(recent) == 0 || len(recent) > 4 || recent[len(recent)-1].Seq != 14 {
		t.Errorf("joining brings %d messages, %v", len(recent), err)
	}
	var seqs []uint64
	pages := 0
	for before, more := uint64(0), true; more; pages++ {
		var page []chat.Message
		if page, more, err = f.svc.Before(ctx, r, before, 5); err != nil || len(page) == 0 {
			t.Fatal(page, err)
		}
		size := 0
		for i := range page {
			m := page[len(page)-1-i]
			seqs = append(seqs, m.Seq)
			size += len(m.Text)
		}
		if size > 256<<10 {
			t.Errorf("a page of %d bytes", size)
		}
		before = page[0].Seq
		f.say(r.ID, "meanwhile", chat.None)
		<-f.said
	}
	for i, seq := range seqs {
		if seq != uint64(14-i) {
			t.Fatalf("got %v", seqs)
		}
	}
	if len(seqs) != 14 || pages != 4 {
		t.Errorf("%d messages on %d pages", len(seqs), pages)
	}
}
