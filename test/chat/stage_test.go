package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/chat/provider/providertest"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/redis/redistest"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
	"github.com/roomcast/roomcast/test/fleet"
)

var (
	full = flag.Bool("full", false, "200 answers of 500 tokens, and as much of the rest")
	seed = flag.Uint64("seed", 1, "of the moments at which connections are cut")
)

// size is how much a proof does, in short and in full.
func size(short, long int) int {
	if *full {
		return long
	}
	return short
}

// A stage is instances, a model that does what it is told, and clients.
type stage struct {
	*fleet.Fleet
	t       testing.TB
	ctx     context.Context // of everything
	model   *providertest.Server
	store   string // the URL of the database, if it has one
	living  sync.WaitGroup
	cutting atomic.Bool

	said, visits, recovered, cuts atomic.Int64

	mu       sync.Mutex
	clients  []*client
	failures map[string][]string
}

// options are those of two instances that share PostgreSQL and Redis, or of one.
func options(t testing.TB, instances int) fleet.Options {
	if instances == 1 {
		return fleet.Options{}
	}
	redis := redistest.Start(t, redistest.Options{})
	return fleet.Options{Instances: instances, Store: postgrestest.URL(t), Redis: redis.URL()}
}

// set prepares a stage. chat is the chat section of the configuration, as the
// rest of a YAML mapping.
func set(t *testing.T, o fleet.Options, chat string) *stage {
	if !*full {
		t.Parallel()
	}
	model := providertest.New()
	web := httptest.NewServer(model)
	t.Cleanup(func() {
		model.Close()
		web.Close()
	})
	o.Config += fmt.Sprintf(config, chat, web.URL+"/v1")
	s := &stage{Fleet: fleet.Start(t, o), t: t, model: model, store: o.Store, failures: map[string][]string{}}
	var stop context.CancelFunc
	s.ctx, stop = context.WithCancel(context.Background())
	t.Cleanup(func() {
		stop()
		s.living.Wait()
		s.blame()
	})
	return s
}

// config bounds nothing that many answers at once would meet.
const config = `
chat:
  turns: 1000
  turnsPerTenant: 1000
  %s
  models: [{name: scripted, provider: openai, url: %q, retries: 1, firstTokenTimeout: 5s, tokenTimeout: 2s}]
socket: {handlerTimeout: 5s}
log: {level: warn}
`

// blame fails the test if anything was as it must not be.
func (s *stage) blame() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for what, all := range s.failures {
		s.t.Errorf("%s: %d times\n%s", what, len(all), strings.Join(all[:min(3, len(all))], "\n"))
	}
	for _, in := range s.Instances {
		if said := in.Log(); len(s.failures) > 0 && said != "" {
			s.t.Logf("%s: %s", in.Name, said)
		}
	}
}

// fail notes what must not be.
func (s *stage) fail(what, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures[what] = append(s.failures[what], fmt.Sprintf(format, args...))
}

// client adds one of ada that begins with an instance and comes back to it. It
// is in a room, or in a new one if that is "".
func (s *stage) client(room string, instance int, w way, change ...func(*client)) *client {
	s.mu.Lock()
	c := &client{
		stage: s, token: s.Token, way: w, url: instance, waiting: map[int]func([]byte){},
		rng: rand.New(rand.NewPCG(*seed, uint64(len(s.clients)))), view: newView(room),
	}
	s.clients = append(s.clients, c)
	s.mu.Unlock()
	for _, fn := range change {
		fn(c)
	}
	s.living.Go(func() { c.live(s.ctx) })
	return c
}

// await waits for something that clients see.
func (s *stage) await(what string, clients []*client, see func(v *view) bool) {
	s.t.Helper()
	var missing *client
	patience := eventually.Patience
	if *full {
		patience = 2 * time.Minute
	}
	if !eventually.Within(patience, 5*time.Millisecond, func() bool {
		missing = nil
		for _, c := range clients {
			seen := false
			if c.look(func(v *view) { seen = see(v) }); !seen {
				missing = c
				return false
			}
		}
		return true
	}) {
		missing.look(func(v *view) {
			s.t.Errorf("%s: it never came, for one of way %d in %s: %d messages, pieces %d", what, missing.way, v.room, len(v.log), v.deltas)
		})
		s.blame()
		s.t.FailNow()
	}
}

// awaitEntered waits until clients are in their conversations.
func (s *stage) awaitEntered(clients ...*client) {
	s.t.Helper()
	s.await("entering", clients, func(v *view) bool { return v.entered })
}

// awaitBack waits until clients are in their conversations again.
func (s *stage) awaitBack(clients ...*client) {
	s.t.Helper()
	for _, c := range clients {
		eventually.True(s.t, func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.joined
		})
	}
}

// http asks the API of the tenant of any instance.
func (s *stage) http(method, path, token string, body, into any) {
	s.t.Helper()
	raw, _ := json.Marshal(body)
	var last string
	if !eventually.Within(eventually.Patience, 50*time.Millisecond, func() bool {
		urls := s.URLs()
		req, err := http.NewRequestWithContext(s.ctx, method, urls[rand.IntN(len(urls))]+"/api/v1/tenants/default"+path, bytes.NewReader(raw))
		if err != nil {
			s.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			last = err.Error()
			return false // it may have been killed
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		last = fmt.Sprintf("%d %s", res.StatusCode, answer)
		return err == nil && res.StatusCode < 300 && (into == nil || json.Unmarshal(answer, into) == nil)
	}) {
		s.t.Fatalf("%s %s: %s", method, path, last)
	}
}

// history returns all that was said in a room, as the server has it.
func (s *stage) history(room string) []said {
	s.t.Helper()
	var all []said
	for {
		var page struct {
			Messages []said
			More     bool
		}
		path := "/chat/rooms/" + room + "/messages?limit=100"
		if len(all) > 0 {
			path += fmt.Sprintf("&before=%d", all[0].Offset)
		}
		s.http(http.MethodGet, path, s.Token, nil, &page)
		if all = append(page.Messages, all...); !page.More {
			return all
		}
	}
}

// compare compares what clients have with what the server has, and checks that
// every message has one answer.
func (s *stage) compare(clients []*client) {
	s.t.Helper()
	histories := map[string][]said{}
	for _, c := range clients {
		room := c.room()
		if histories[room] == nil {
			histories[room] = s.answered(room)
		}
		s.await("all that was said", []*client{c}, func(v *view) bool { return v.through() >= uint64(len(histories[room])) })
		c.look(func(v *view) {
			for i, m := range histories[room] {
				if m.Offset != uint64(i+1) || v.log[m.Offset] != m.Text {
					s.fail("text", "way %d has %q as message %d of %s, and the server %q as %d", c.way, v.log[m.Offset], i+1, room, m.Text, m.Offset)
				}
			}
			if len(v.log) != len(histories[room]) {
				s.fail("text", "way %d has %d messages of %s, and the server %d", c.way, len(v.log), room, len(histories[room]))
			}
		})
	}
}

// answered returns all that was said in a room when every message has its answer.
func (s *stage) answered(room string) (all []said) {
	s.t.Helper()
	users, bots := 0, 0
	if !eventually.Within(eventually.Patience, 100*time.Millisecond, func() bool {
		all = s.history(room)
		users, bots = 0, 0
		for _, m := range all {
			if m.Type == "user" {
				users++
			} else {
				bots++
			}
		}
		return users == bots
	}) {
		s.fail("answers", "%d messages of room %s have %d answers", users, room, bots)
	}
	return all
}

// tokens is the text of an answer of so many.
func tokens(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " w%d", i)
	}
	return strings.TrimPrefix(b.String(), " ")
}

// quantile sorts times and returns one of them.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(float64(len(all))*q))]
}

func times(all []time.Duration) string {
	return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, at most %.1f ms", millis(quantile(all, 0.5)), millis(quantile(all, 0.99)), millis(quantile(all, 1)))
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
