package bridge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/events"
)

// What a run does before its widget has been told of it comes after that, once
// and in order: a little as it happened, more from the log.
func TestRunDoesMuchWhileItIsLaunched(t *testing.T) {
	for _, n := range []uint64{3, 300} {
		runs := &fakeRuns{history: map[string]History{}}
		s := NewService(Options{Runs: runs, Widgets: owners{}, AutoRegister: true})
		a := newTab()
		runs.launched = func(id string) {
			if a.take() != "" {
				t.Error("the widget was told of a run that was not there")
			}
			h := History{Through: n + 1, Status: events.RunRunning, Context: whole(`{}`)}
			for i := uint64(2); i <= n+1; i++ {
				s.RunUpdated(node(id, fmt.Sprint(i), i))
				h.Updates = append(h.Updates, past(id, fmt.Sprint(i), i))
			}
			runs.history[id] = h
		}
		done, err := s.Connect(t.Context(), a, Connect{WidgetID: "x", WorkflowID: "w"})
		if err != nil || done != (Connected{RunID: "r1", Through: 1}) {
			t.Fatalf("%+v %v", done, err)
		}
		s.RunUpdated(node("r1", "last", n+2))
		var want []string
		for i := uint64(2); i <= n+1; i++ {
			want = append(want, fmt.Sprintf("context_update r1 %d", i))
		}
		want = append(want, "context_update r1 last")
		first, got, _ := strings.Cut(a.take(), "\n")
		if first != `workflow_connected r1 execute{"input":null}` || strings.ReplaceAll(got, " without context", "") != strings.Join(want, "\n") {
			t.Errorf("%d updates: got\n%s\n%s", n, first, got)
		}
	}
}

// Variables are put together for widgets that show the run alone.
func TestContextsAreMadeForWhoGetsThem(t *testing.T) {
	runs := &fakeRuns{history: map[string]History{"r": {Through: 1, Status: events.RunRunning, Context: whole(`{}`)}}}
	s := NewService(Options{Runs: runs, Widgets: owners{}, AutoRegister: true})
	made := 0
	update := func(offset uint64) Update {
		u := node("r", "n", offset)
		u.Context = func() (events.JSON, *events.ContextRef) {
			made++
			return events.JSON("null"), events.NewContextRef("acme", "r", offset, 7)
		}
		return u
	}
	s.RunUpdated(update(2))
	if made != 0 {
		t.Error("variables were put together for nobody")
	}
	a := newTab()
	var got events.WidgetContextUpdate
	session := &spy{a, func(p events.Payload) {
		if u, ok := p.(events.WidgetContextUpdate); ok {
			got = u
		}
	}}
	s.show(t, session, "x")
	s.RunUpdated(update(3))
	want := events.ContextRef{Offset: 3, Size: 7, Href: "/api/v1/tenants/acme/workflows/instances/r/context?offset=3"}
	if made != 1 || string(got.Update.ContextSnapshot) != "null" || got.Update.ContextRef == nil || *got.Update.ContextRef != want {
		t.Errorf("made %d times: %+v", made, got.Update)
	}
}

// spy sees what a session is told.
type spy struct {
	*tab
	see func(events.Payload)
}

func (s *spy) Emit(p events.Payload) error {
	s.see(p)
	return s.tab.Emit(p)
}
