package app_test

import (
	"database/sql"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
)

// pair are two servers on one database, of which the first signs in as a role
// of its own. If there are buses, the second has the first of them.
type pair struct {
	t        *testing.T
	a, b     *servertest.Server
	database *sql.DB
	token    string
}

const workflows = "/api/v1/tenants/" + app.DevTenant + "/workflows"

func newPair(t *testing.T, expiry time.Duration, buses ...cluster.Bus) *pair {
	address := postgrestest.URL(t)
	database, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { database.Close() })
	p := &pair{t: t, database: database}
	p.exec(`CREATE ROLE first SUPERUSER LOGIN`)
	data := t.TempDir()
	start := func(url string) *servertest.Server {
		var bus cluster.Bus
		if len(buses) > 0 {
			bus, buses = buses[0], buses[1:]
		}
		return servertest.Start(t, servertest.Options{Data: data, Bus: bus, Change: func(c *config.Config) {
			c.Store.Driver, c.Store.URL, c.Store.Timeout = config.Postgres, config.Secret(url), time.Second
			c.Instance.Heartbeat, c.Instance.Expiry = 200*time.Millisecond, expiry
		}})
	}
	p.b = start(address)
	p.a = start(strings.Replace(address, "user=postgres", "user=first", 1))
	p.token = p.a.Token("ada", app.DevTenant, auth.Admin)
	t.Cleanup(func() { p.a.Stop(); p.exec(`DROP ROLE first`) })
	return p
}

func (p *pair) exec(statement string) {
	p.t.Helper()
	if _, err := p.database.Exec(statement); err != nil {
		p.t.Errorf("%s: %v", statement, err)
	}
}

// cut takes the first server off the database, or lets it back.
func (p *pair) cut(off bool) {
	p.t.Helper()
	if !off {
		p.exec(`ALTER ROLE first LOGIN`)
		return
	}
	p.exec(`ALTER ROLE first NOLOGIN`)
	p.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'first'`)
}

// execute starts a run that waits for somebody's word, on a server, and
// returns the status of the request.
func (p *pair) execute(s *servertest.Server) (runID string, status int) {
	p.t.Helper()
	var list struct {
		Workflows []struct{ WorkflowID, Title string }
	}
	p.b.Do(p.token, "GET", workflows, nil, &list)
	for _, w := range list.Workflows {
		if w.Title == "Order approval" {
			var run struct{ InstanceID string }
			status = s.Do(p.token, "POST", workflows+"/"+w.WorkflowID+"/execute", map[string]any{"inputValues": map[string]any{"amount": 5000}}, &run)
			return run.InstanceID, status
		}
	}
	p.t.Fatalf("there is nothing to execute: %+v", list)
	return "", 0
}

type runState struct {
	Status                string
	PendingDataCollection []struct{ CollectionRequestID string }
}

// look returns what has become of a run, seen from the second server.
func (p *pair) look(runID string) (s runState) {
	p.b.Do(p.token, "GET", workflows+"/instances/"+runID, nil, &s)
	return s
}

// request waits for the request that a run makes.
func (p *pair) request(runID string) string {
	p.t.Helper()
	var s runState
	eventually.True(p.t, func() bool {
		s = p.look(runID)
		return len(s.PendingDataCollection) == 1
	})
	return s.PendingDataCollection[0].CollectionRequestID
}

// answer answers a request on the second server, and waits for the end of the
// run.
func (p *pair) answer(runID, request string) {
	p.t.Helper()
	body := map[string]any{"collectionRequestID": request, "submittedData": map[string]any{"approved": true}}
	var reply any
	if status := p.b.Do(p.token, "POST", workflows+"/data-collection", body, &reply); status != http.StatusOK {
		p.t.Errorf("the answer was answered %d: %v", status, reply)
	}
	eventually.True(p.t, func() bool { return p.look(runID).Status == "COMPLETED" })
}

func (p *pair) metrics(s *servertest.Server, want ...string) {
	p.t.Helper()
	res, err := http.Get(s.URL + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	for _, line := range want {
		if !strings.Contains(string(body), line) {
			p.t.Errorf("%s is missing", line)
		}
	}
}

// A run that waits goes on in another server at once when its own stops.
func TestServerStops(t *testing.T) {
	p := newPair(t, time.Minute)
	run, _ := p.execute(p.a)
	request := p.request(run)
	if err := p.a.Stop(); err != nil {
		t.Fatal(err)
	}
	p.answer(run, request)
	p.metrics(p.b, "roomcast_instance_present 1", "roomcast_instance_lost_total 0", "roomcast_instance_renewal_failures_total 0")
}

// A server that is cut off its database begins nothing, is not ready, and
// loses its runs to another; it is one of them again when it is back.
func TestServerCutOff(t *testing.T) {
	p := newPair(t, 3*time.Second)
	run, _ := p.execute(p.a)
	request := p.request(run)
	p.cut(true)
	p.answer(run, request) // as soon as the time of the first is over
	eventually.True(t, func() bool { return p.a.Do("", "GET", "/health/ready", nil, nil) == http.StatusServiceUnavailable })
	p.metrics(p.a, "roomcast_instance_present 0", "roomcast_instance_lost_total 1")
	if _, status := p.execute(p.a); status < http.StatusBadRequest {
		t.Errorf("it began something: %d", status)
	}
	p.cut(false)
	eventually.True(t, func() bool { return p.a.Do("", "GET", "/health/ready", nil, nil) == http.StatusOK })
	run, status := p.execute(p.a)
	if request := p.request(run); status >= http.StatusBadRequest || request == "" {
		t.Errorf("it begins nothing: %d", status)
	}
}
