package postgres_test

import (
	"database/sql"
	"testing"

	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
)

// The conversations of a user are found by indexes, however many others there
// are.
func TestRoomsAmongMany(t *testing.T) {
	url := postgrestest.URL(t)
	db := open(t, url)
	other, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, statement := range []string{
		`INSERT INTO chat_rooms (id, tenant, owner, title, created_at, changed_at) SELECT 'r' || i, 'acme', 'u' || (i % 1000), '', i, i FROM generate_series(1, 20000) i`,
		`INSERT INTO chat_members SELECT 'r' || (i * 97), 'u' || (i % 10), 'x', i FROM generate_series(1, 100) i`,
		`ANALYZE`,
	} {
		if _, err := other.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		rooms, err := db.Chats().RoomsOf(t.Context(), "acme", "u1", chat.Room{}, 50)
		if err != nil || len(rooms) != 30 {
			t.Fatalf("%d rooms, %v", len(rooms), err)
		}
	}
	db.Close()
	settled(t, other)
	var rows int64
	if err := other.QueryRow(`SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'chat_rooms'`).Scan(&rows); err != nil {
		t.Fatal(err)
	}
	if rows >= 20_000 {
		t.Errorf("%d rows were read one after the other", rows)
	}
}

// settled waits until the connections of a database that was closed have told
// what they have done, as they do when they end.
func settled(t *testing.T, other *sql.DB) {
	t.Helper()
	eventually.True(t, func() bool {
		var there int
		if err := other.QueryRow(`SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'roomcast'`).Scan(&there); err != nil {
			t.Fatal(err)
		}
		return there == 0
	})
}

// The latest message of a conversation is found without reading those before.
func TestLastMessageOfMany(t *testing.T) {
	url := postgrestest.URL(t)
	db := open(t, url)
	other, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, statement := range []string{
		`INSERT INTO chat_messages (room_id, seq, speaker, user_id, text, action, at) SELECT 'r' || (i % 2), i, 'bot', '', '', '', 0 FROM generate_series(1, 20000) i`,
		`ANALYZE`,
	} {
		if _, err := other.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	last, err := db.Chats().LastMessages(t.Context(), []string{"r0", "r1", "none"})
	if err != nil || len(last) != 2 || last["r0"] != 20_000 || last["r1"] != 19_999 {
		t.Errorf("%v, %v", last, err)
	}
	db.Close()
	settled(t, other)
	var read int64
	if err := other.QueryRow(`SELECT SUM(t.seq_tup_read + i.idx_tup_read) FROM pg_stat_user_tables t JOIN pg_stat_user_indexes i USING (relid) WHERE t.relname = 'chat_messages'`).Scan(&read); err != nil {
		t.Fatal(err)
	}
	if read > 100 {
		t.Errorf("%d entries were read", read)
	}
}
