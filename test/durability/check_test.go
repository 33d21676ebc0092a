package durability

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A report is what a proof has counted.
type report struct {
	Runs, Children, Entries int
	Effects, Repeated       int // calls that were needed, and calls besides
	Answers                 int
	Updates, WidgetUpdates  int         // that clients had to get
	moments                 []time.Time // of entries
}

// check reads every run and compares it with what it must be.
func (s *stage) check(expected map[string][]string) report {
	var rep report
	seen := map[string]bool{} // keys of effects that a log accounts for
	ours := map[string]bool{} // keys of runs
	logs := s.readAll()
	for _, r := range s.runs {
		rep.Runs++
		ours[r.key] = true
		in, read := logs[r.instance()]
		if !read {
			continue
		}
		if got, want := in.outcome(), expected[r.kind.name][r.n]; got != want {
			s.fail("outcome", "run %s of %v ended with\n%s\nand not with\n%s", r.instance(), r.kind, got, want)
		}
		s.checkLog(&rep, r, in.Logs, logs, seen)
		s.checkFollows(&rep, r, in.Logs)
	}
	s.checkStarts(logs)
	for _, key := range s.recorder.keys() {
		if i := strings.IndexAny(key, "|/"); i > 0 && ours[key[:i]] && !seen[key] {
			s.fail("unrecorded", "the effect %s is in no log", key)
		}
	}
	return rep
}

// checkStarts makes sure that nothing was started that nobody asked for, as by
// a request that came again.
func (s *stage) checkStarts(known map[string]instance) {
	for i, id := range s.ids {
		var list struct{ Instances []struct{ InstanceID string } }
		if _, err := s.client.call(s.ctx, http.MethodGet, "/instances?limit=500&workflowID="+id, "", nil, &list); err != nil {
			s.fail("read", "runs of %v: %v", s.kinds[i], err)
		}
		for _, in := range list.Instances {
			if _, ok := known[in.InstanceID]; !ok {
				s.fail("started twice", "run %s of %v was started by nobody", in.InstanceID, s.kinds[i])
			}
		}
	}
}

// readers is how many runs are read at once.
const readers = 8

// readAll reads all runs, and those that they have waited for.
func (s *stage) readAll() map[string]instance {
	var mu sync.Mutex
	all := map[string]instance{}
	line := make(chan *run)
	var reading sync.WaitGroup
	read := func(id string) (in instance) {
		in, err := s.client.read(s.ctx, id)
		if err != nil {
			s.fail("read", "run %q: %v", id, err)
			return instance{}
		}
		mu.Lock()
		defer mu.Unlock()
		all[id] = in
		return in
	}
	for range readers {
		reading.Go(func() {
			for r := range line {
				for _, e := range read(r.instance()).Logs {
					if e.Data.Child != nil {
						read(e.Data.Child.RunID)
					}
				}
			}
		})
	}
	for _, r := range s.runs {
		line <- r
	}
	close(line)
	reading.Wait()
	return all
}

// checkLog looks at the log of a run, and of those that it has waited for.
func (s *stage) checkLog(rep *report, r *run, log []entry, logs map[string]instance, seen map[string]bool) {
	s.checkEntries(rep, r.instance(), r.key, r.kind.typeOf(), log, seen)
	children := map[string]int{}
	for _, e := range log {
		c := e.Data.Child
		if e.Type != "NODE_SUSPENDED" || c == nil {
			continue
		}
		if children[c.RunID]++; children[c.RunID] > 1 {
			s.fail("child twice", "run %s has waited for %s twice", r.instance(), c.RunID)
		}
		rep.Children++
		s.checkEntries(rep, c.RunID, r.key+"/"+e.NodeID+e.Iteration, s.childKind().typeOf(), logs[c.RunID].Logs, seen)
	}
	s.checkAnswers(rep, r, log)
}

func (s *stage) childKind() kind { return s.kinds[slices.Index(s.ids, s.child)] }

// recorded are the types of nodes that are recorded before they begin.
var recorded = map[string]bool{"http": true, "javascript": true}

// execution is what a log says of one execution of a node.
type execution struct {
	dispatched []time.Time
	retries    int
	results    []time.Time
}

// checkEntries looks at one log: its numbers, that no node has two results, that
// effects were recorded before they began, and what the recorder knows of them.
func (s *stage) checkEntries(rep *report, id, key string, types map[string]string, log []entry, seen map[string]bool) {
	type place struct{ node, iteration string }
	all := map[place]*execution{}
	for i, e := range log {
		rep.Entries++
		rep.moments = append(rep.moments, e.At)
		if e.Seq != uint64(i+1) {
			s.fail("sequence", "entry %d of run %s has the number %d", i+1, id, e.Seq)
		}
		if over := i == len(log)-1; over != (e.Type == "RUN_ENDED") {
			s.fail("end", "entry %d of %d of run %s is %s", i+1, len(log), id, e.Type)
		}
		if e.NodeID == "" {
			continue
		}
		at := place{e.NodeID, e.Iteration}
		if all[at] == nil {
			all[at] = &execution{}
		}
		x := all[at]
		switch {
		case e.Type == "NODE_DISPATCHED":
			x.dispatched = append(x.dispatched, e.At)
		case e.Type == "NODE_RETRY":
			x.retries++
		case e.ends():
			x.results = append(x.results, e.At)
		}
		if recorded[types[e.NodeID]] && e.Type != "NODE_DISPATCHED" && len(x.dispatched) < x.retries+len(x.results) {
			s.fail("no record", "node %s %q of run %s has a result that it was not recorded to begin for", e.NodeID, e.Iteration, id)
		}
	}
	for at, x := range all {
		if len(x.results) > 1 {
			s.fail("finished twice", "node %s %q of run %s has %d results", at.node, at.iteration, id, len(x.results))
		}
		if types[at.node] == "http" {
			name := fmt.Sprintf("%s|%s|%s", key, at.node, at.iteration)
			seen[name] = true
			s.checkEffect(rep, name, x)
		}
	}
}

// checkEffect compares a log with the calls that came. Those of which the record
// was lost may have been repeated.
func (s *stage) checkEffect(rep *report, name string, x *execution) {
	calls := s.recorder.of(name)
	needed := x.retries + len(x.results)
	rep.Effects += needed
	rep.Repeated += max(len(calls)-needed, 0)
	if len(calls) < needed {
		s.fail("effect", "%s has %d outcomes of %d calls", name, needed, len(calls))
	}
	for _, c := range calls {
		if len(x.dispatched) == 0 || c.at.Before(x.dispatched[0].Add(-time.Millisecond)) {
			s.fail("no record", "%s was called before the log said that it begins", name)
		}
		if len(x.results) > 0 && c.at.After(x.results[0]) {
			s.fail("finished twice", "%s was called %v after its result was recorded", name, c.at.Sub(x.results[0]))
		}
		if c.id != calls[0].id {
			s.fail("key", "%s was called with the keys %q and %q", name, calls[0].id, c.id)
		}
	}
}

// checkAnswers makes sure that of two answers to a request that one counts which
// was told so.
func (s *stage) checkAnswers(rep *report, r *run, log []entry) {
	requests := map[[2]string]string{}
	for _, e := range log {
		at := [2]string{e.NodeID, e.Iteration}
		if e.Data.RequestID != "" {
			requests[at] = e.Data.RequestID
		}
		id := requests[at]
		if id == "" || !e.ends() {
			continue
		}
		s.mu.Lock()
		a := s.answers[id]
		s.mu.Unlock()
		if a == nil {
			s.fail("answer", "request %s of run %s was answered by nobody", id, r.instance())
			continue
		}
		rep.Answers++
		a.sends.Wait()
		var out struct {
			Sender  int
			Comment string
		}
		json.Unmarshal(e.Data.Output, &out)
		sender := out.Sender
		if out.Comment == "sender 1" {
			sender = 1
		}
		if a.taken[1-sender] {
			s.fail("answer", "request %s: sender %d was told that its answer counts, and that of the other does", id, 1-sender)
		}
		if sender == 0 && !a.taken[0] {
			s.fail("answer", "request %s: a repeat with the same Idempotency-Key was refused, though the answer counts", id)
		}
	}
}

// checkFollows compares what clients got with the log.
func (s *stage) checkFollows(rep *report, r *run, log []entry) {
	var want []update
	var shown []string
	for _, e := range log {
		if !e.visible() {
			continue
		}
		what := ""
		switch e.Type {
		case "NODE_COMPLETED":
			what = e.NodeID + " success"
		case "NODE_FAILED":
			what = e.NodeID + " failed"
		case "RUN_ENDED":
			what = e.Data.Status
		}
		want = append(want, update{e.Seq, what})
		if what != "" {
			shown = append(shown, what)
		}
	}
	if len(r.follows) == 0 {
		s.fail("follow", "nobody follows run %s", r.instance())
	}
	for _, f := range r.follows {
		rep.Updates += len(want)
		s.compare(fmt.Sprintf("run %s of %v, widget %q", r.instance(), r.kind, f.widgetID), f.got, want)
		if f.widgetID != "" {
			rep.WidgetUpdates += len(shown)
			if !slices.Equal(f.shown, shown) {
				s.fail("widget", "widget of run %s of %v got %q, and not %q", r.instance(), r.kind, f.shown, shown)
			}
		}
	}
}

// compare says what is missing, doubled or out of order.
func (s *stage) compare(what string, got, want []update) {
	if slices.Equal(got, want) {
		return
	}
	count := map[update]int{}
	for _, u := range got {
		count[u]++
	}
	for _, u := range want {
		if count[u] == 0 {
			s.fail("missing", "%s: %v, of %v there is %v", what, u, want, got)
		}
	}
	for u, n := range count {
		if n > 1 {
			s.fail("doubled", "%s: %v, of %v there is %v", what, u, want, got)
		}
		if !slices.Contains(want, u) {
			s.fail("unknown", "%s: %v is not in the log", what, u)
		}
	}
	if !slices.IsSortedFunc(got, func(a, b update) int { return int(a.offset) - int(b.offset) }) {
		s.fail("order", "%s: %v", what, got)
	}
}
