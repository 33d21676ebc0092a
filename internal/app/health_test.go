package app_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/cluster/clustertest"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/redis/redistest"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// health is what /health/ready answers.
type health struct {
	Status   string
	Instance struct{ ID, Host string }
	Checks   map[string]struct {
		OK    bool
		Why   string
		Since *time.Time
	}
}

func ready(s *servertest.Server) (h health, status int) {
	status = s.Do("", "GET", "/health/ready", nil, &h)
	return h, status
}

// becomes waits for a state of readiness.
func becomes(t *testing.T, s *servertest.Server, status int, word string) (h health) {
	t.Helper()
	var got int
	eventually.True(t, func() bool {
		h, got = ready(s)
		return got == status && h.Status == word
	})
	return h
}

func TestReadiness(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	h := becomes(t, s, 200, "ready")
	for _, name := range []string{"server", "store", "instance", "canary"} {
		if !h.Checks[name].OK {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if _, ok := h.Checks["bus"]; ok || h.Instance.ID == "" {
		t.Errorf("%+v", h)
	}
	off := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.Health.Canary.Limit = 0 }})
	if h := becomes(t, off, 200, "ready"); len(h.Checks) != 3 {
		t.Errorf("without a canary: %+v", h)
	}
	named := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.Server.AllowedHosts = []string{"events.example.com"} }})
	becomes(t, named, 200, "ready")
}

// deafBus loses what comes back to its server.
type deafBus struct {
	*clustertest.Bus
	deaf atomic.Bool
}

func (b *deafBus) Send(n cluster.Note) {
	if !b.deaf.Load() || n.To != b.Self() {
		b.Bus.Send(n)
	}
}

func (b *deafBus) Publish(m *cluster.Message) {
	if !b.deaf.Load() {
		b.Bus.Publish(m)
	}
}

// A bus that is down does not keep a server from serving its own clients; one
// that seems to be up and carries nothing does, as long as that lasts.
func TestReadinessWithABus(t *testing.T) {
	for name, ordered := range map[string]bool{"ordered": true, "not ordered": false} {
		t.Run(name, func(t *testing.T) {
			bus := &deafBus{Bus: clustertest.New(ordered).Bus()}
			s := servertest.Start(t, servertest.Options{Bus: bus, Change: func(c *config.Config) { c.Health.Canary.Limit = 500 * time.Millisecond }})
			if h := becomes(t, s, 200, "ready"); !h.Checks["bus"].OK || h.Instance.ID != bus.Self() {
				t.Errorf("%+v", h)
			}
			bus.deaf.Store(true)
			h := becomes(t, s, 503, "not ready")
			if why := h.Checks["canary"].Why; !strings.Contains(why, "by the bus") {
				t.Errorf("%+v", h)
			}
			bus.deaf.Store(false)
			becomes(t, s, 200, "ready")
			bus.SetUp(false)
			h = becomes(t, s, 200, "degraded")
			if c := h.Checks["bus"]; c.OK || c.Since == nil {
				t.Errorf("%+v", h)
			}
			eventually.True(t, func() bool { return strings.Contains(s.Log.String(), "the bus is down") })
			bus.SetUp(true)
			becomes(t, s, 200, "ready")
			eventually.True(t, func() bool { return strings.Contains(s.Log.String(), "the bus is up") })
			if n := strings.Count(s.Log.String(), "the bus is"); n != 2 {
				t.Errorf("told %d times", n)
			}
		})
	}
}

func TestRequireBus(t *testing.T) {
	bus := clustertest.New(true).Bus()
	s := servertest.Start(t, servertest.Options{Bus: bus, Change: func(c *config.Config) { c.Health.RequireBus = true }})
	becomes(t, s, 200, "ready")
	bus.SetUp(false)
	becomes(t, s, 503, "not ready")
}

// For everybody else the namespace of the canary is one that does not exist,
// and it is in no numbers.
func TestCanaryIsAlone(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	becomes(t, s, 200, "ready")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, protocol := range []string{"3", "4"} {
		refusesAll(t, ctx, s, protocol)
	}
	eventually.True(t, func() bool { return s.App.Stats().Connections == 0 })
	if n := s.App.Stats(); n.Sessions != 0 || n.Rooms != 0 || n.Events.Received != 0 || n.Events.Delivered != 0 {
		t.Errorf("%+v", n)
	}
}

func refusesAll(t *testing.T, ctx context.Context, s *servertest.Server, protocol string) {
	t.Helper()
	c, _, err := websocket.Dial(ctx, s.URL+"/socket.io/?EIO="+protocol+"&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.ReadMessage() // the open packet
	if protocol == "3" {
		c.ReadMessage() // it may not enter "/" without a token
	}
	answer := func(packet, space string) string {
		c.WriteMessage(websocket.OpText, []byte(packet))
		_, b, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(b), space, "")
	}
	want := answer("40/none,", "/none")
	for _, packet := range []string{"40/canary,", `40/canary,{"secret":""}`, `40/canary,{"secret":"guess"}`, `40/canary,{"token":"` + s.Token("ada", "default", "ADMIN") + `"}`} {
		if got := answer(packet, "/canary"); got != want {
			t.Errorf("%.40s: %s, want %s", packet, got, want)
		}
	}
}

// With a real Redis, in each of the three ways: canaries come back through it,
// a server without it goes on and says so, and all is well when it is back.
func TestReadinessOnRedis(t *testing.T) {
	for _, adapter := range []string{"classic", "sharded", "streams"} {
		t.Run(adapter, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.Options{})
			s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) {
				c.Redis.Adapter, c.Redis.URL = adapter, config.Secret(server.URL())
				c.Redis.MaxWait, c.Redis.Timeout = 200*time.Millisecond, time.Second
				c.Health.Canary.Limit = 2 * time.Second
			}})
			h := becomes(t, s, 200, "ready")
			canaries := func(above float64) float64 {
				var n float64
				eventually.True(t, func() bool {
					n = metric(t, s, `roomcast_canary_latency_seconds_count{way="bus"}`)
					return n > above
				})
				return n
			}
			heard := canaries(0)
			server.Kill()
			h = becomes(t, s, 200, "degraded")
			if c := h.Checks["bus"]; c.Why == "" || !h.Checks["canary"].OK {
				t.Errorf("%+v", h)
			}
			if metric(t, s, "roomcast_bus_up") != 0 || s.App.Stats().Bus.Status != "down" {
				t.Error("metrics and stats do not tell that the bus is down")
			}
			server.Restart()
			becomes(t, s, 200, "ready")
			canaries(heard + 2)
			if n := metric(t, s, "roomcast_bus_reconnects_total"); n < 1 {
				t.Errorf("%v reconnects", n)
			}
		})
	}
}

// metric returns a figure of /metrics.
func metric(t *testing.T, s *servertest.Server, name string) float64 {
	t.Helper()
	res, err := http.Get(s.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}
