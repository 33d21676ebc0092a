//go:build temporal && devserver

package app_test

import (
	"flag"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/workflow/temporal/temporaltest"
)

var temporalServer = flag.String("server", "", "the binary of Temporal's development server, which test/temporal/build builds")

// TestTemporalServer has a whole server whose runs are executed by Temporal,
// which goes away, and comes back.
func TestTemporalServer(t *testing.T) {
	cluster := temporaltest.Start(t, *temporalServer)
	s := onTemporal(t, cluster.Address, "")
	becomes(t, s, 200, "ready")
	token := s.Token("ada", "acme", auth.Admin)
	workflow := hello(t, s)
	run := func() (id string, status int) {
		var r struct{ InstanceID string }
		status = s.Do(token, "POST", "/api/v1/tenants/acme/workflows/"+workflow+"/execute", "{}", &r)
		return r.InstanceID, status
	}
	ended := func(id string) {
		t.Helper()
		eventually.True(t, func() bool {
			var r struct{ Status string }
			s.Do(token, "GET", "/api/v1/tenants/acme/workflows/instances/"+id, nil, &r)
			return r.Status == "COMPLETED"
		})
	}
	id, status := run()
	if status != 200 && status != 201 {
		t.Fatalf("running: %d", status)
	}
	ended(id)
	cluster.Kill()
	becomes(t, s, 200, "degraded")
	if _, status := run(); status != 503 {
		t.Errorf("running while Temporal is away: %d", status)
	}
	cluster.Start()
	becomes(t, s, 200, "ready")
	id, _ = run()
	ended(id)
}
