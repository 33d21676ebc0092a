package bench

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/servertest"
)

func TestRuns(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.Workflow.HTTP.AllowPrivate = true }})
	target := Target{URL: s.URL, Token: s.Token("ada", "default", auth.Admin), PID: os.Getpid()}
	for _, workflow := range RunWorkflows() {
		for _, widget := range []bool{false, true} {
			for _, rate := range []int{0, 50} {
				o := RunsOptions{Tenant: "default", Workflow: workflow, Widget: widget, InFlight: 4, Rate: rate, Duration: 200 * time.Millisecond}
				r, err := Runs(t.Context(), target, o)
				if err != nil || r.Messages < 4 || r.P50 <= 0 {
					t.Errorf("%+v: %+v, %v", o, r, err)
				}
			}
		}
	}
	if _, err := Runs(t.Context(), target, RunsOptions{Tenant: "default", Workflow: "no such"}); err == nil {
		t.Error("a workflow that does not exist is no error")
	}
}

// TestRunsAreCounted has a client get what it should not.
func TestRunsAreCounted(t *testing.T) {
	node := func(id string) string { return `{"instanceID":"r","nodeID":"` + id + `","status":"success"}` }
	const end = `{"instanceID":"r","status":"COMPLETED","output":{"answer":21}}`
	type event struct{ name, payload string }
	n := func(id string) event { return event{"workflow_node_update", node(id)} }
	e := func(payload string) event { return event{"workflow_status_update", payload} }
	for name, c := range map[string]struct {
		events []event
		good   bool
	}{
		"all":             {[]event{n("start"), n("work"), n("end"), e(end)}, true},
		"a node missing":  {[]event{n("start"), n("end")}, false},
		"a node twice":    {[]event{n("start"), n("start")}, false},
		"ended too early": {[]event{n("start"), n("work"), e(end)}, false},
		"ended twice":     {[]event{n("start"), n("work"), n("end"), e(end), e(end)}, false},
		"another output":  {[]event{n("start"), n("work"), n("end"), e(`{"instanceID":"r","status":"COMPLETED","output":{"answer":22}}`)}, false},
		"failed":          {[]event{n("start"), n("work"), n("end"), e(`{"instanceID":"r","status":"FAILED"}`)}, false},
		"another run's":   {[]event{n("start"), {"workflow_node_update", `{"instanceID":"q","nodeID":"work","status":"success"}`}}, false},
		"another event":   {[]event{{"gap", `{}`}}, false},
	} {
		l := runLane{current: "r", n: 1}
		var err error
		for _, got := range c.events {
			var e runEvent
			if err = json.Unmarshal([]byte(got.payload), &e); err == nil {
				err = l.event(got.name, e)
			}
			if err != nil {
				break
			}
		}
		if good := err == nil; good != c.good || good && !l.over {
			t.Errorf("%s: %v", name, err)
		}
	}
}
