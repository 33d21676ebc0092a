package datasource

import (
	"strings"
	"testing"
	"time"
)

// Queries wait for a connection, and not longer than the limit.
func TestConnections(t *testing.T) {
	s, err := New(Options{Sources: []Source{{Name: "data", Driver: SQLite, URL: "/x.db", MaxConns: 2, Timeout: 20 * time.Millisecond, AllowQueries: true}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		s.sources[0].slots <- struct{}{} // a query that runs
	}
	_, err = s.Query(t.Context(), Request{Source: "data", SQL: "SELECT 1"})
	if err == nil || !strings.HasSuffix(err.Error(), "all connections were in use for 20ms (maxConns is 2)") {
		t.Error(err)
	}
}
