package chat

import (
	"bufio"
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/bench"
	"github.com/roomcast/roomcast/internal/eventually"
)

// A cost is what the instances of a stage have used since they began.
type cost struct {
	cpu             time.Duration
	writes, batches float64 // to streams, and transactions of those
	disk            int64   // bytes that the instances had written; of PostgreSQL others write
	transactions    int64   // that changed something, in PostgreSQL
	rows            int64   // that were inserted, changed or deleted
}

func (s *stage) cost() (c cost) {
	s.t.Helper()
	for _, in := range s.Instances {
		cpu, err := bench.CPUTime(in.PID())
		if err != nil {
			s.t.Fatal(err)
		}
		disk, err := bench.BytesWritten(in.PID())
		if err != nil {
			s.t.Fatal(err)
		}
		c.cpu += cpu
		c.disk += disk
		c.writes += s.metric(in.URL, "roomcast_chat_stream_writes_total")
		c.batches += s.metric(in.URL, "roomcast_chat_stream_batches_total")
	}
	if s.store != "" && *full { // it takes PostgreSQL 10 s
		c.transactions, c.rows = s.changes()
	}
	return c
}

func (s *stage) metric(url, name string) (value float64) {
	s.t.Helper()
	res, err := http.Get(url + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			fmt.Sscan(rest, &value)
			return value
		}
	}
	s.t.Fatalf("there is no metric %s", name)
	return 0
}

// database opens the PostgreSQL of the stage.
func (s *stage) database() *sql.DB {
	s.t.Helper()
	db, err := sql.Open("pgx", s.store)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { db.Close() })
	return db
}

// changes counts what PostgreSQL has done. Its connections tell of rows when
// they have been idle for 10 s at the latest.
func (s *stage) changes() (transactions, rows int64) {
	s.t.Helper()
	db := s.database()
	if err := db.QueryRow(`SELECT pg_current_xact_id()::text::bigint`).Scan(&transactions); err != nil {
		s.t.Fatal(err)
	}
	last, since := int64(-1), time.Now()
	eventually.Within(30*time.Second, 500*time.Millisecond, func() bool {
		err := db.QueryRow(`SELECT COALESCE(SUM(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables WHERE relname LIKE 'chat%'`).Scan(&rows)
		if err != nil {
			s.t.Fatal(err)
		}
		if rows != last {
			last, since = rows, time.Now()
		}
		return time.Since(since) > 11*time.Second
	})
	return transactions, rows
}

// perToken says what so many tokens cost.
func (a cost) perToken(b cost, tokens int) string {
	n := float64(tokens)
	text := fmt.Sprintf("for a token: %.1f µs of the server's processor time, %.3f writes in %.4f transactions", float64((b.cpu-a.cpu).Microseconds())/n, (b.writes-a.writes)/n, (b.batches-a.batches)/n)
	if a.transactions > 0 {
		return text + fmt.Sprintf("; PostgreSQL: %.4f transactions, all others included, %.2f rows", float64(b.transactions-a.transactions)/n, float64(b.rows-a.rows)/n)
	}
	return text + fmt.Sprintf(", %.0f bytes to the disk", float64(b.disk-a.disk)/n)
}
