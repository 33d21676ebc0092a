package postgres_test

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
)

// turnFixture is a message that is being answered, and a connection of somebody
// else.
type turnFixture struct {
	chats store.Chats
	other *sql.DB
	said  chat.Message
	start chat.Entry
}

func newTurn(t *testing.T) turnFixture {
	t.Helper()
	url := postgrestest.URL(t)
	f := turnFixture{chats: open(t, url).Chats()}
	var err error
	if f.other, err = sql.Open("pgx", url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.other.Close() })
	room := uuid.NewString()
	if err := f.chats.CreateRoom(t.Context(), chat.Room{ID: room, Tenant: "acme", Owner: "ada", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	f.said, err = f.chats.Append(t.Context(), chat.Message{RoomID: room, Speaker: chat.User, User: "ada", At: time.Now(), Owner: "one"}, 100)
	if err != nil {
		t.Fatal(err)
	}
	f.start = chat.Entry{Turn: f.said.Seq, Kind: chat.StreamStart, Data: []byte(`{}`), At: time.Now()}
	if _, _, err := f.chats.BeginTurn(t.Context(), f.said, f.start); err != nil {
		t.Fatal(err)
	}
	return f
}

// during runs fn while a transaction with a statement is open, which is committed
// when fn waits for it.
func (f turnFixture) during(t *testing.T, statement string, fn func()) {
	t.Helper()
	tx, err := f.other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec(statement); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	eventually.True(t, func() bool {
		var n int
		err := f.other.QueryRow(`SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n)
		return err == nil && n > 0
	})
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	<-done
}

// An answer that comes while the message is being taken over is not stored, or
// there would be two.
func TestAnswerWhileTaken(t *testing.T) {
	f := newTurn(t)
	var err error
	f.during(t, `UPDATE chat_messages SET owner = 'two'`, func() {
		_, err = f.chats.Answer(t.Context(), f.said, chat.Message{RoomID: f.said.RoomID, Speaker: chat.Bot, At: time.Now()}, chat.Entry{Seq: 2, Turn: f.said.Seq, Kind: chat.StreamEnd, At: time.Now()}, chat.Aftermath{})
	})
	if !errors.Is(err, chat.ErrAnswered) {
		t.Errorf("an answer of who is not the owner any more: %v", err)
	}
}

// Who takes a turn over while the last piece of its owner is being stored goes on
// after that piece.
func TestTakenWhilePieceIsStored(t *testing.T) {
	f := newTurn(t)
	if _, err := f.other.Exec(`UPDATE chat_messages SET owner = 'two'`); err != nil {
		t.Fatal(err)
	}
	f.said.Owner = "two"
	var head uint64
	var err error
	f.during(t, `UPDATE chat_turns SET head = 2`, func() { head, _, err = f.chats.BeginTurn(t.Context(), f.said, f.start) })
	if err != nil || head != 2 {
		t.Errorf("goes on after %d, %v", head, err)
	}
}
