package attack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// Who guesses is told to wait, whichever way they come, by the address that
// the trusted proxy has seen; nobody else is, and a good credential gets in
// from there too.
func TestGuessing(t *testing.T) {
	const limit = 30 // more than there are ways: what comes from no address is of the proxy
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) {
		c.Auth.Failures.Limit = limit
		c.Server.TrustedProxies = []string{"127.0.0.1"}
	}})
	n := 0
	guess := func() string { n++; return fmt.Sprintf("guess %d", n) }
	socket := func(address, credential string) events.Code {
		ws, _, err := websocket.Dial(t.Context(), s.URL+"/socket.io/?EIO=4&transport=websocket", http.Header{"X-Forwarded-For": {address}})
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		c := &client{t: t, Client: ws}
		c.packet()
		return c.enter(map[string]any{"token": credential})
	}
	rest := func(address, credential string) events.Code {
		req, _ := http.NewRequest("GET", s.URL+"/api/v1/me", nil)
		req.Header.Set("X-Forwarded-For", address)
		req.Header.Set("Authorization", "Bearer "+credential)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var answer struct{ Error struct{ Code events.Code } }
		json.NewDecoder(res.Body).Decode(&answer)
		return answer.Error.Code
	}
	ways := map[string]func(address, credential string) events.Code{"Socket.IO": socket, "REST": rest}
	first := []func(string, string) events.Code{socket, rest}
	for _, x := range dialects(s) {
		d := x.(dialect)
		ways[d.name()] = func(address, credential string) events.Code { return d.guess(t, credential, address) }
		if d.path == "/ws" {
			first = append(first, ways[d.name()])
		}
	}
	for i := range limit {
		knock := first[i%len(first)]
		if code := knock("192.0.2.1", guess()); code != events.CodeTokenInvalid {
			t.Errorf("guess %d: %s", i, code)
		}
	}
	good := s.Token("ada", "default", auth.Admin)
	for name, knock := range ways {
		for address, want := range map[string]events.Code{
			"192.0.2.1":                       events.CodeTooManyFailures,
			"198.51.100.9, 192.0.2.1":         events.CodeTooManyFailures, // made up in front
			"192.0.2.1, 198.51.100.9":         events.CodeTokenInvalid,
			"192.0.2.1, 198.51.100.7, ::1, x": events.CodeTokenInvalid,
		} {
			if code := knock(address, guess()); code != want {
				t.Errorf("%s from %s: %s, want %s", name, address, code, want)
			}
			if code := knock(address, good); code != "" {
				t.Errorf("%s from %s with a good token: %s", name, address, code)
			}
		}
	}
	if !strings.Contains(s.Log.String(), "address=192.0.2.1 ") {
		t.Error("the log does not know the client's address")
	}
}

// Who operates the server sees every refusal as it happens, and the secret in
// none of them.
func TestRefusalsAreSeen(t *testing.T) {
	w := newWorld(t)
	ops := w.open("/monitor", w.hmac(map[string]any{"sub": "ops", "permissions": []string{"server:operate"}}))
	tenant := w.open("/monitor", w.as("eve", "other", auth.Admin))
	forged := w.hmac(nil) + "x"
	for _, x := range transports(w.Server) {
		if code := x.knock(t, forged); code != events.CodeTokenSignature {
			t.Fatal(code)
		}
		for {
			p := ops.next("log")
			if strings.Contains(p, forged) || strings.Contains(p, forged[:60]) {
				t.Errorf("%s: %s", x.name(), p)
			}
			if strings.Contains(p, string(events.CodeTokenSignature)) && strings.Contains(p, "wrong signature") && strings.Contains(p, "127.0.0.1") {
				break
			}
		}
	}
	if _, code := tenant.call("auth_refresh", map[string]any{"token": w.as("eve", "other", auth.Admin)}); code != "" {
		t.Fatal(code)
	}
	for _, p := range tenant.heard {
		if strings.Contains(p, "refused") {
			t.Errorf("an administrator of a tenant sees who knocks: %s", p)
		}
	}
}
