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
	db.Close() // connections tell what they have done when they end
	var rows int64
	eventually.True(t, func() bool {
		var there int
		if err := other.QueryRow(`SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'roomcast'`).Scan(&there); err != nil {
			t.Fatal(err)
		}
		return there == 0
	})
	if err := other.QueryRow(`SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'chat_rooms'`).Scan(&rows); err != nil {
		t.Fatal(err)
	}
	if rows >= 20_000 {
		t.Errorf("%d rows were read one after the other", rows)
	}
}
