package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// growing is a workflow of n nodes in a row, of which each adds 1 KB to the
// variables. They begin when the widget has been told of the run: of what is
// before that, only the latest may come with all variables.
func growing(n int) map[string]any {
	nodes := []any{
		map[string]any{"id": "s", "type": "start"},
		map[string]any{"id": "n0", "type": "delay", "data": map[string]any{"delayType": "fixed", "delayMs": 100}},
	}
	edges := []any{map[string]any{"source": "s", "target": "n0"}}
	for i := 1; i <= n; i++ {
		nodes = append(nodes, map[string]any{"id": fmt.Sprintf("n%d", i), "type": "transform", "data": map[string]any{
			"expression": `repeat("x", 1000)`, "outputVariable": fmt.Sprintf("v%d", i),
		}})
		edges = append(edges, map[string]any{"source": fmt.Sprintf("n%d", i-1), "target": fmt.Sprintf("n%d", i)})
	}
	return map[string]any{"title": fmt.Sprintf("growing %d", n), "nodes": nodes, "edges": edges}
}

type contextRef struct {
	Offset uint64
	Size   int
	Href   string
}

// shownRun is what a widget was told of a run.
type shownRun struct {
	bytes     int            // that came
	variables map[string]any // as a client has them that goes by the changes alone
	whole     int            // updates that came with all variables
	refs      []contextRef
}

func (r *shownRun) refer(ref *contextRef) {
	if ref != nil {
		r.refs = append(r.refs, *ref)
	}
}

// show executes a workflow in a widget.
func show(t *testing.T, s *servertest.Server, workflowID string) (got shownRun) {
	t.Helper()
	c := enter(t, s, "/", `{"token":"`+s.Token("ada", app.DevTenant, auth.Member)+`"}`)
	defer c.Close()
	c.WriteMessage(websocket.OpText, fmt.Appendf(nil, `42["widget_workflow_connect",{"widgetID":"%s","workflowID":"%s"}]`, uuid.NewString(), workflowID))
	for {
		_, frame, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		got.bytes += len(frame)
		var event []json.RawMessage
		if text, isEvent := strings.CutPrefix(string(frame), "42"); !isEvent {
			continue
		} else if err := json.Unmarshal([]byte(text), &event); err != nil {
			t.Fatal(err)
		}
		var payload struct {
			InitialContext map[string]any
			Update         struct {
				OutputVariable  string
				Value           any
				ContextSnapshot map[string]any
				ContextRef      *contextRef
			}
			ContextRef *contextRef
		}
		json.Unmarshal(event[1], &payload)
		switch string(event[0]) {
		case `"widget_workflow_connected"`:
			got.variables = map[string]any{"input": map[string]any{}}
			maps.Copy(got.variables, payload.InitialContext)
			got.refer(payload.ContextRef)
		case `"widget_context_update"`:
			if u := payload.Update; u.OutputVariable != "" {
				got.variables[u.OutputVariable] = u.Value
			}
			if payload.Update.ContextSnapshot != nil {
				got.whole++
			}
			got.refer(payload.Update.ContextRef)
		case `"widget_workflow_status"`:
			got.refer(payload.ContextRef)
			return got
		}
	}
}

// resolve returns the variables that an event has referred to.
func resolve(t *testing.T, s *servertest.Server, token string, ref contextRef) map[string]any {
	t.Helper()
	var at struct {
		Offset      uint64
		ContextData map[string]any
	}
	if status := s.Do(token, "GET", ref.Href, nil, &at); status != 200 || at.Offset != ref.Offset {
		t.Fatalf("%s: %d, offset %d", ref.Href, status, at.Offset)
	}
	if raw, _ := json.Marshal(at.ContextData); len(raw) > ref.Size || len(raw) < ref.Size/2 {
		t.Errorf("%s has %d bytes, not about %d", ref.Href, len(raw), ref.Size)
	}
	return at.ContextData
}

// What a widget gets of a run grows with the run beyond the limit, and with its
// square without one. What it does not get, it finds where it is sent to.
func TestContextsAreBounded(t *testing.T) {
	sizes := func(limit config.Size, lengths ...int) (all []shownRun) {
		s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.Workflow.ContextLimit = limit }})
		admin := s.Token("root", app.DevTenant, auth.Admin)
		for _, n := range lengths {
			var w struct{ WorkflowID string }
			if status := s.Do(admin, "POST", "/api/v1/tenants/"+app.DevTenant+"/workflows", growing(n), &w); status != 201 {
				t.Fatalf("creating: %d", status)
			}
			got := show(t, s, w.WorkflowID)
			all = append(all, got)
			t.Logf("%d nodes of 1 KB, contexts up to %d bytes: %d bytes, %d contexts, %d references", n, limit, got.bytes, got.whole, len(got.refs))
			if k := len(got.refs); k > 0 {
				resolve(t, s, admin, got.refs[0])
				resolve(t, s, admin, got.refs[k/2])
				if last := resolve(t, s, admin, got.refs[k-1]); !reflect.DeepEqual(last, got.variables) {
					t.Errorf("the changes lead to %d variables, there are %d", len(got.variables), len(last))
				}
			}
		}
		return all
	}

	bounded := sizes(16<<10, 200, 400, 800)
	if more, twice := bounded[1].bytes-bounded[0].bytes, bounded[2].bytes-bounded[1].bytes; twice > more*21/10 || more > 200*3000 {
		t.Errorf("200 nodes more are %d bytes, 400 more are %d", more, twice)
	}
	if whole := bounded[0].whole; whole == 0 || whole > 18 {
		t.Errorf("%d updates came with all variables", whole)
	}
	unbounded := sizes(1<<30, 50, 100)
	if a, b := unbounded[0].bytes, unbounded[1].bytes; b < a*3 || unbounded[1].whole != 102 || len(unbounded[1].refs) != 0 {
		t.Errorf("50 nodes are %d bytes, 100 are %d with %d contexts", a, b, unbounded[1].whole)
	}
	if never := sizes(0, 3)[0]; never.whole != 0 || len(never.refs) != 7 {
		t.Errorf("with a limit of 0: %d contexts, %d references", never.whole, len(never.refs))
	}
}
