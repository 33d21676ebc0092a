//go:build temporal

package app_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/servertest"
)

// onTemporal starts a server whose runs are executed by Temporal.
func onTemporal(t *testing.T, address, data string) *servertest.Server {
	return servertest.Start(t, servertest.Options{Data: data, Change: func(c *config.Config) {
		c.Workflow.Engine, c.Workflow.Temporal.Address, c.Workflow.Temporal.Timeout = config.EngineTemporal, address, 2*time.Second
	}})
}

// hello is a workflow that ends by itself.
func hello(t *testing.T, s *servertest.Server) (id string) {
	var w struct{ WorkflowID string }
	def := `{"title":"hello","definition":{"nodes":[{"id":"s","type":"start","data":{}},{"id":"d","type":"delay","data":{"delayMs":10}}],"edges":[{"source":"s","target":"d"}]}}`
	if status := s.Do(s.Token("ada", "acme", auth.Admin), "POST", "/api/v1/tenants/acme/workflows", def, &w); status != 201 {
		t.Fatalf("creating a workflow: %d", status)
	}
	return w.WorkflowID
}

func TestTemporalIsAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := onTemporal(t, l.Addr().String(), "")
	h := becomes(t, s, 200, "degraded")
	if c := h.Checks["temporal"]; c.OK || c.Why == "" {
		t.Errorf("%+v", h)
	}
	var refused struct {
		Error struct{ Code, Message string }
	}
	status := s.Do(s.Token("ada", "acme", auth.Admin), "POST", "/api/v1/tenants/acme/workflows/"+hello(t, s)+"/execute", "{}", &refused)
	if status != 503 || refused.Error.Code != "TEMPORAL_NOT_RUNNING" || !strings.Contains(refused.Error.Message, "Temporal") {
		t.Errorf("%d %+v", status, refused)
	}
}
