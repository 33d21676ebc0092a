package app_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/cluster/clustertest"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// several starts servers that share a database, a secret and a bus.
func several(t *testing.T, n int, change func(*config.Config)) (servers []*servertest.Server, net *clustertest.Net) {
	t.Helper()
	url, data := postgrestest.URL(t), t.TempDir()
	net = clustertest.New(true)
	for range n {
		s := servertest.Start(t, servertest.Options{Bus: net.Bus(), Data: data, Change: func(c *config.Config) {
			c.Store.Driver, c.Store.URL = config.Postgres, config.Secret(url)
			if change != nil {
				change(c)
			}
		}})
		servers = append(servers, s)
	}
	for _, s := range servers {
		becomes(t, s, 200, "ready")
	}
	return servers, net
}

// enter enters a namespace with a CONNECT payload.
func enter(t *testing.T, s *servertest.Server, namespace, payload string) *websocket.Client {
	t.Helper()
	c, _ := enterAs(t, s, namespace, payload)
	return c
}

// enterAs is enter, and returns the answer.
func enterAs(t *testing.T, s *servertest.Server, namespace, payload string) (c *websocket.Client, welcome string) {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), s.URL+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(eventually.Patience))
	if _, _, err := c.ReadMessage(); err != nil { // the open packet
		t.Fatal(err)
	}
	prefix := "40"
	if namespace != "/" {
		prefix += namespace + ","
	}
	c.WriteMessage(websocket.OpText, []byte(prefix+payload))
	_, b, err := c.ReadMessage()
	if err != nil || !strings.HasPrefix(string(b), prefix+`{"sid"`) {
		t.Fatalf("CONNECT was answered with %s %v", b, err)
	}
	return c, string(b)
}

// reads waits for a packet with a text in it.
func reads(t *testing.T, c *websocket.Client, text string) string {
	t.Helper()
	for {
		_, b, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("waiting for %s: %v", text, err)
		}
		if strings.Contains(string(b), text) {
			return string(b)
		}
	}
}

// A revocation takes effect on all servers at once, however seldom they look,
// and so does that an API key is disabled.
func TestRevocationsReachEveryServer(t *testing.T) {
	servers, _ := several(t, 2, func(c *config.Config) { c.Auth.RevocationInterval = time.Hour })
	a, b := servers[0], servers[1]
	operator := a.Sign(auth.Identity{User: "op", Tenants: []auth.Membership{{ID: app.DevTenant, Role: auth.Admin}}, Permissions: []auth.Permission{auth.Operate}}, time.Hour)
	token := b.Token("ada", app.DevTenant, auth.Member)
	byToken := enter(t, b, "/", `{"token":"`+token+`"}`)
	if status := a.Do(operator, "POST", "/api/v1/revocations", map[string]string{"kind": "user", "id": "ada"}, nil); status != 201 {
		t.Fatalf("revoking: %d", status)
	}
	reads(t, byToken, "CREDENTIAL_REVOKED")

	var made struct {
		Key   string `json:"apiKey"`
		KeyID string `json:"keyID"`
	}
	keys := "/api/v1/tenants/" + app.DevTenant + "/api-keys"
	if status := a.Do(operator, "POST", keys, map[string]string{"name": "ci"}, &made); status != 201 {
		t.Fatalf("making a key: %d", status)
	}
	byKey := enter(t, b, "/", `{"apiKey":"`+made.Key+`"}`)
	if status := a.Do(operator, "DELETE", keys+"/"+made.KeyID, nil, nil); status >= 300 {
		t.Fatalf("disabling the key: %d", status)
	}
	reads(t, byKey, "CREDENTIAL_REVOKED")
}

// Who watches one server sees the lines and numbers of all, as far as the user
// may.
func TestMonitorShowsAllServers(t *testing.T) {
	servers, _ := several(t, 2, func(c *config.Config) { c.Monitor.StatsInterval = 100 * time.Millisecond })
	a, b := servers[0], servers[1]
	idOf := func(s *servertest.Server) string {
		h, _ := ready(s)
		return h.Instance.ID
	}
	list := func(tenant string) { // refused, and so logged
		a.Do(a.Token("eve", tenant, auth.Member), "GET", "/api/v1/revocations", nil, nil)
	}
	list("early")
	operator := enter(t, b, "/monitor", `{"token":"`+b.Sign(auth.Identity{User: "op", Permissions: []auth.Permission{auth.Operate}}, time.Hour)+`"}`)
	from := func(c *websocket.Client, s *servertest.Server, text string) {
		t.Helper()
		for !strings.Contains(reads(t, c, text), `"id":"`+idOf(s)+`"`) {
		}
	}
	from(operator, a, `"server is ready"`)
	from(operator, a, `"eve"`)
	from(operator, a, `["stats"`)
	from(operator, b, `["stats"`)
	list("late")
	from(operator, a, `"eve"`)

	admin := enter(t, b, "/monitor", `{"token":"`+b.Token("ada", "acme", auth.Admin)+`"}`)
	list("other")
	list("acme")
	line := reads(t, admin, `"eve"`)
	if !strings.Contains(line, `"acme"`) || !strings.Contains(line, idOf(a)) {
		t.Errorf("an administrator of acme sees %s", line)
	}
}

// A client of a server that stops goes on at another: its session was saved
// before the end, with what nobody has sent it yet.
func TestSessionsOutliveTheirServer(t *testing.T) {
	servers, _ := several(t, 2, nil)
	a, b := servers[0], servers[1]
	token := a.Token("ada", app.DevTenant, auth.Member)
	c, welcome := enterAs(t, a, "/", `{"token":"`+token+`"}`)
	c.WriteMessage(websocket.OpText, []byte(`420["join_room","tenant:`+app.DevTenant+`"]`))
	reads(t, c, `"ok":true`)
	stopped := make(chan error)
	go func() { stopped <- a.Stop() }()
	_, _, err := c.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != websocket.StatusGoingAway {
		t.Errorf("the connection ended with %v", err)
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	var session struct{ SID, PID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(welcome, "40")), &session); err != nil {
		t.Fatal(err)
	}
	_, again := enterAs(t, b, "/", `{"token":"`+token+`","pid":"`+session.PID+`"}`)
	if !strings.Contains(again, session.SID) {
		t.Errorf("it began anew: %s, before %s", again, welcome)
	}
}
