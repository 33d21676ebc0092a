package chat

import (
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/eventually"
)

// quick lets an instance be taken for dead soon.
const quick = "instance: {heartbeat: 300ms, expiry: 1s}\n"

// TestKill kills the only instance while it answers, and starts it again.
func TestKill(t *testing.T) {
	kill(set(t, options(t, 1), ""), size(1, 5), 0)
}

// TestKillOneOfTwo kills one of two instances, which answer in turn; in full
// also with the expiry that is set when nobody sets one.
func TestKillOneOfTwo(t *testing.T) {
	o := options(t, 2)
	o.Config = quick
	kill(set(t, o, ""), size(1, 10), time.Second+300*time.Millisecond)
	if *full {
		kill(set(t, options(t, 2), ""), 1, 12*time.Second)
	}
}

// slack is for what follows on a beat.
const slack = time.Second

// kill kills an instance that answers, times over, and sees how its answers end:
// within a time, if that is not 0.
func kill(s *stage, rounds int, within time.Duration) {
	t, rooms := s.t, size(4, 20)
	var speakers, watchers [2][]*client // by the instance that answers
	for in := range s.Instances {
		for range rooms {
			speakers[in] = append(speakers[in], s.client("", in, resumes))
		}
		s.awaitEntered(speakers[in]...)
		for i, c := range speakers[in] {
			watchers[in] = append(watchers[in], s.client(c.room(), in+1, way(i%int(ways))))
		}
		s.awaitEntered(watchers[in]...)
	}
	var took []time.Duration
	for n := range rounds {
		in := n % len(s.Instances)
		partial := s.sayAll(speakers[in], "stream 5000 10") - 1
		behind := s.sayAll(speakers[in], "stream 3 1") - 1 // waits
		s.await("a piece", append(watchers[in], speakers[in]...), func(v *view) bool {
			return v.answers[partial] != nil && len(v.answers[partial].text) > 20
		})
		killed := time.Now()
		s.Instances[in].Kill()
		if len(s.Instances) == 1 {
			s.Instances[in].Start()
		}
		both := append(watchers[in], speakers[in]...)
		s.await("the end of what was interrupted", watchers[in], func(v *view) bool { return v.through() >= behind+2 })
		last := time.Since(killed)
		took = append(took, last)
		if within > 0 && last > within+slack && *full {
			t.Errorf("the answers ended %v after the kill", last)
		}
		if len(s.Instances) > 1 {
			s.Instances[in].Start()
		}
		s.await("what was said meanwhile", both, func(v *view) bool { return v.through() >= behind+2 })
		s.interrupted(watchers[in], partial)
		next := s.sayAll(watchers[in], "stream 4 1")
		s.await("the next answer", both, func(v *view) bool { return v.log[next] == tokens(4) })
		s.Instances[in].AwaitReady()
	}
	s.compare(s.clients)
	t.Logf("%d times, %d answers each and as many messages that waited; from the kill to the last end of both: %s", rounds, rooms, times(took))
}

// interrupted checks how a turn ended that was taken over.
func (s *stage) interrupted(watchers []*client, message uint64) {
	for _, c := range watchers {
		c.look(func(v *view) {
			a := v.answers[message]
			for _, m := range s.history(v.room) {
				if m.Type != "bot" || !strings.HasPrefix(m.Text, "w0 w1") || m.Offset < message || m.Offset > message+2 {
					continue
				}
				before := max(len(a.before), 20)
				if m.FinishReason != "interrupted" || !strings.Contains(m.Text, "interrupted") || len(m.Text) < before || a.before != "" && !strings.HasPrefix(m.Text, a.before) ||
					a.ends > 0 && a.text != m.Text || strings.Count(m.Text, "interrupted") != 1 {
					s.fail("interrupted", "%q of %d became %q, %s", a.text, message, m.Text, m.FinishReason)
				}
				return
			}
			s.fail("interrupted", "what was said of %d is gone: %v", message, v.log)
		})
	}
}

// TestKillWhileApproved kills the instance that does what was approved: before
// it has begun the run, and before it has told what came of it.
func TestKillWhileApproved(t *testing.T) {
	o := options(t, 2)
	o.Config = quick
	s := set(t, o, "assistant: builtin")
	workflow := s.workflow("Job", 400)
	db := s.database()
	tabs := []*client{s.client("", 0, resumes)}
	s.awaitEntered(tabs...)
	tabs = append(tabs, s.client(tabs[0].room(), 1, resumes))
	s.awaitEntered(tabs...)
	runs := map[string]bool{}
	rounds := size(2, 20)
	var took []time.Duration
	for n := range rounds {
		in, watcher := n/2%2, tabs[1-n/2%2]
		a := s.propose(tabs, n)
		var deciding sync.WaitGroup
		decide := func() { // there may be no answer
			deciding.Go(func() {
				tabs[in].try("ai_chat_approval", map[string]any{"chatRoomID": tabs[in].room(), "approvalID": a.ID, "decision": "approve"}, nil)
			})
		}
		if n%2 == 0 {
			s.beforeRun(db, a.ID, in, decide)
		} else {
			decide()
			eventually.True(t, func() bool { return len(s.runs(workflow)) > len(runs) })
			s.Instances[in].Kill()
		}
		killed := time.Now()
		deciding.Wait()
		s.resolved([]*client{watcher}, a.ID, runs)
		took = append(took, time.Since(killed))
		if got := s.runs(workflow); len(got) != n+1 || len(runs) != n+1 {
			t.Fatalf("round %d: %d runs, %d outcomes", n, len(got), len(runs))
		}
		s.Instances[in].Start()
		s.Instances[in].AwaitReady()
		s.awaitBack(tabs...)
	}
	s.compare(tabs)
	t.Logf("%d approvals, %d runs; from the kill to the outcome: %s", rounds, len(runs), times(took))
}

// beforeRun lets something be approved while no run can be stored, and kills the
// instance then.
func (s *stage) beforeRun(db *sql.DB, approvalID string, in int, decide func()) {
	s.t.Helper()
	lock, err := db.BeginTx(s.ctx, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer lock.Rollback()
	if _, err := lock.Exec(`LOCK TABLE runs IN SHARE ROW EXCLUSIVE MODE`); err != nil {
		s.t.Fatal(err)
	}
	decide()
	eventually.True(s.t, func() bool {
		var status string
		var waiting int
		err1 := db.QueryRow(`SELECT status FROM chat_approvals WHERE id = $1`, approvalID).Scan(&status)
		err2 := db.QueryRow(`SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND relation = 'runs'::regclass`).Scan(&waiting)
		return err1 == nil && err2 == nil && status == "approved" && waiting > 0
	})
	s.Instances[in].Kill()
}
