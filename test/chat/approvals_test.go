package chat

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"
)

// TestApprovedAtOnce lets two users with two tabs each, on two instances, decide
// at once, again and again.
func TestApprovedAtOnce(t *testing.T) {
	s := set(t, options(t, 2), "assistant: builtin")
	workflow := s.workflow("Job", 0)
	bob := s.NewToken("bob")
	tabs := []*client{s.client("", 0, resumes)}
	s.awaitEntered(tabs...)
	room := tabs[0].room()
	tabs[0].say("help") // which gives the conversation to the tenant
	s.http(http.MethodPut, "/chat/rooms/"+room+"/members/bob", s.Token, nil, nil)
	tabs = append(tabs, s.client(room, 1, resumes))
	for i := range 2 {
		tabs = append(tabs, s.client(room, i, resumes, func(c *client) { c.token = bob }))
	}
	s.awaitEntered(tabs...)
	rng := rand.New(rand.NewPCG(*seed, 1))
	rounds, rejected := size(8, 300), 0
	runs := map[string]bool{}
	for n := range rounds {
		a := s.propose(tabs, n)
		decisions := decisionsOf(n)
		begin := make(chan struct{})
		var all sync.WaitGroup
		for i, c := range tabs {
			wait := time.Duration(rng.IntN(2000)) * time.Microsecond
			all.Go(func() {
				<-begin
				pause(t.Context(), wait)
				s.decide(c, a, decisions[i])
			})
		}
		close(begin)
		all.Wait()
		if s.resolved(tabs, a.ID, runs) == "rejected" {
			rejected++
		}
	}
	if got := s.runs(workflow); len(got) != len(runs) {
		t.Errorf("%d runs of %d approvals", len(got), len(runs))
	} else {
		for _, id := range got {
			if !runs[id] {
				t.Errorf("run %s is of no approval", id)
			}
		}
	}
	s.compare(tabs)
	t.Logf("%d approvals, %d of them rejected, decided by 4 tabs of 2 users at once: %d runs", rounds, rejected, len(runs))
}

// decisionsOf are what the tabs decide: all the same, or not, or one of them with
// a message.
func decisionsOf(round int) []string {
	switch round % 4 {
	case 0, 1:
		return []string{"approve", "approve", "approve", "approve"}
	case 2:
		return []string{"approve", "reject", "reject", "approve"}
	}
	return []string{"yes", "approve", "approve", "yes"}
}

// workflow creates a workflow that takes so long, and returns its id.
func (s *stage) workflow(title string, millis int) string {
	var w struct{ ID, WorkflowID string }
	s.http(http.MethodPost, "/workflows", s.Key, map[string]any{"title": title, "definition": map[string]any{
		"workflowOptions": map[string]any{"args": []map[string]any{{"key": "n", "type": "number", "defaultValue": 1}}},
		"nodes": []map[string]any{
			{"id": "s", "type": "start", "data": map[string]any{}},
			{"id": "d", "type": "delay", "data": map[string]any{"delayMs": millis}},
			{"id": "e", "type": "end", "data": map[string]any{}},
		},
		"edges": []map[string]any{{"source": "s", "target": "d"}, {"source": "d", "target": "e"}},
	}}, &w)
	return w.ID + w.WorkflowID
}

// runs returns the ids of all runs of a workflow, as the store has them.
func (s *stage) runs(workflow string) (ids []string) {
	s.t.Helper()
	var list struct{ Instances []struct{ InstanceID string } }
	s.http(http.MethodGet, "/workflows/instances?limit=500&workflowID="+workflow, s.Key, nil, &list)
	for _, in := range list.Instances {
		ids = append(ids, in.InstanceID)
	}
	return ids
}

// propose has a run proposed, and returns when all clients know.
func (s *stage) propose(tabs []*client, n int) (a approval) {
	s.t.Helper()
	tabs[0].say(fmt.Sprintf("run Job with n=%d", n))
	s.await("a proposal", tabs, func(v *view) bool {
		for _, p := range v.approvals {
			if p.Decision == "" && p.Hash != "" {
				a = *p
				return true
			}
		}
		return false
	})
	return a
}

// decide decides, with an event or a message. A decision may come too late.
func (s *stage) decide(c *client, a approval, what string) {
	if what == "yes" {
		c.say("yes", "approve")
		return
	}
	var ack struct {
		OK     bool
		Status string
		Error  struct{ Code string }
	}
	c.call("ai_chat_approval", map[string]any{"chatRoomID": c.room(), "approvalID": a.ID, "hash": a.Hash, "decision": what}, &ack)
	if ack.OK && ack.Status != what+"d" && ack.Status != what+"ed" || !ack.OK && ack.Error.Code != "CONFLICT" {
		s.fail("decision", "%s: %+v", what, ack)
	}
}

// resolved waits until all know what was decided and, if it is to be done, what
// came of it. It adds the run to others.
func (s *stage) resolved(tabs []*client, id string, runs map[string]bool) (decision string) {
	s.t.Helper()
	s.await("the outcome", tabs, func(v *view) bool {
		a := v.approvals[id]
		return a.Decision == "rejected" || a.Decision == "approved" && a.Outcomes > 0
	})
	var first approval
	for i, c := range tabs {
		c.look(func(v *view) {
			a := *v.approvals[id]
			switch {
			case i == 0:
				first = a
			case a != first:
				s.fail("outcome", "%+v for one and %+v for another", first, a)
			}
		})
	}
	if first.Decision == "approved" && (!first.OK || first.InstanceID == "" || runs[first.InstanceID]) {
		s.fail("outcome", "%+v", first)
	}
	if first.InstanceID != "" {
		runs[first.InstanceID] = true
	}
	return first.Decision
}
