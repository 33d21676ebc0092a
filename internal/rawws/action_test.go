package rawws_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/chat/provider/providertest"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
	"github.com/roomcast/roomcast/internal/websocket"
)

const actionKey = "b1946ac92492d2347c6235b4d2611184"

// actionServer has the dialect spoken, with a model that does what it is told.
func actionServer(t *testing.T, change func(*config.Config)) (*servertest.Server, *providertest.Server) {
	t.Helper()
	model := providertest.New()
	endpoint := httptest.NewServer(model)
	t.Cleanup(func() { model.Close(); endpoint.Close() })
	return servertest.Start(t, servertest.Options{Change: func(c *config.Config) {
		c.WebSocket.Action.APIKey = actionKey
		c.Chat.Models = []config.ChatModel{{Name: "small", Provider: config.OpenAI, URL: endpoint.URL + "/v1"}}
		if change != nil {
			change(c)
		}
	}}), model
}

// ask sends a frame and returns its reply.
func (c *client) ask(format string, args ...any) map[string]any {
	c.t.Helper()
	c.send(fmt.Sprintf(format, args...))
	return c.next()
}

// is checks a whole reply.
func (c *client) is(got map[string]any, want ...string) {
	c.t.Helper()
	wanted := map[string]any{"status": want[0], "route": want[1]}
	if len(want) > 2 {
		wanted["message"] = want[2]
	}
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		c.t.Errorf("got %v, want %v", got, wanted)
	}
}

// token checks a reply that gives a token and returns that.
func (c *client) token(got map[string]any, route string) string {
	c.t.Helper()
	token, _ := got["token"].(string)
	if got["status"] != "success" || got["route"] != route || token == "" || got["data"] != token || len(got) != 4 {
		c.t.Fatalf("this gives no token: %v", got)
	}
	return token
}

func (c *client) register(checksum, name, prompt string) string {
	c.t.Helper()
	return c.token(c.ask(`{"action":"Register","API_KEY":%q,"checksum":%q,"name":%q,"prompt":%q}`, actionKey, checksum, name, prompt), "Register")
}

func TestActionSaysWhatItsDocumentSays(t *testing.T) {
	s, model := actionServer(t, nil)
	c := dial(t, s, "/ws")
	first := c.register("azerty", "tom", "juste le boss")
	if header, _ := base64.RawURLEncoding.DecodeString(strings.Split(first, ".")[0]); string(header) != `{"alg":"HS256","typ":"JWT"}` {
		t.Errorf("the header is %s", header)
	}
	var claims struct {
		Account string `json:"user_id"`
		Aud     string
		Exp     int64
	}
	body, _ := base64.RawURLEncoding.DecodeString(strings.Split(first, ".")[1])
	if json.Unmarshal(body, &claims) != nil || claims.Account == "" || claims.Aud != "action" || time.Until(time.Unix(claims.Exp, 0)) > 24*time.Hour {
		t.Errorf("the claims are %s", body)
	}
	model.On("Hello World", providertest.Answer("TalkTo: [ann]\nMessage: hi <ann> & \"all\""))
	c.is(c.ask(`{"action":"TakeDecision","token":%q,"message":"Hello World"}`, first), "success", "MakeDecision", "TalkTo: [ann]\nMessage: hi <ann> & \"all\"")

	// There is one token: connecting again ends the one before.
	second := c.token(c.ask(`{"action":"Connection","checksum":"azerty"}`), "Connection")
	c.is(c.ask(`{"action":"TakeDecision","token":%q,"message":"x"}`, first), "error", "Connection", "Invalid Token")
	c.is(c.ask(`{"action":"MakeDecision","token":%q,"message":"again"}`, second), "success", "MakeDecision", "You said: again")
	third := c.token(c.ask(`{"action":"Connect","checksum":"azerty"}`), "Connection")
	c.is(c.ask(`{"action":"Disconnect","token":%q}`, second), "error", "Connection", "Invalid Token")
	gone := c.ask(`{"action":"Disconnect","token":%q}`, third)
	if want := map[string]any{"status": "success", "route": "Disconnect", "message": "Disconnected", "token": "", "data": ""}; fmt.Sprint(gone) != fmt.Sprint(want) {
		t.Errorf("disconnected: %v", gone)
	}
	c.is(c.ask(`{"action":"TakeDecision","token":%q,"message":"x"}`, third), "error", "Connection", "Invalid Token")
	c.is(c.ask(`{"action":"Disconnect","token":%q}`, third), "error", "Connection", "Invalid Token")

	// What the model was told: who it is and what was said before.
	requests := model.Requests()
	var told struct {
		Messages  []struct{ Role, Content string }
		MaxTokens int `json:"max_tokens"`
		User      string
	}
	if err := json.Unmarshal(requests[len(requests)-1].Body, &told); err != nil {
		t.Fatal(err)
	}
	want := `[{system Your name is tom.

juste le boss} {user Hello World} {assistant TalkTo: [ann]
Message: hi <ann> & "all"} {user again}]`
	if got := fmt.Sprint(told.Messages); got != want || told.MaxTokens != 1024 || told.User == "" || strings.Contains(told.User, claims.Account) {
		t.Errorf("told %s, limit %d, user %q", got, told.MaxTokens, told.User)
	}
	for _, hush := range []string{"azerty", "juste", "Hello World", actionKey, first, third} {
		if strings.Contains(s.Log.String(), hush) {
			t.Errorf("%q is in the log", hush)
		}
	}
}

func TestActionErrors(t *testing.T) {
	s, model := actionServer(t, func(c *config.Config) { c.WebSocket.Action.Accounts = 2 })
	c := dial(t, s, "/ws/action")
	model.On("busy", providertest.Failure(400, "invalid_request_error"))
	model.On("silence", providertest.Answer(""))
	token := c.register("sum of ann", "ann", "p")
	for _, tt := range []struct{ send, route, message string }{
		// The example of the document lacks a comma.
		{`{ "action": "Register", "API_KEY": "API_KEY1234" "checksum": "azerty", "name": "tom", "prompt": "juste le boss" }`, "root", "Error while decoding JSON message"},
		{`nonsense`, "root", "Error while decoding JSON message"},
		{`null`, "root", "Error while decoding JSON message"},
		{`["Register"]`, "root", "Error while decoding JSON message"},
		{`{}`, "root", "Missing required fields in the JSON message"},
		{`{"action":7}`, "root", "Missing required fields in the JSON message"},
		{`{"action":""}`, "root", "Missing required fields in the JSON message"},
		{`{"Action":"Register"}`, "root", "Missing required fields in the JSON message"},
		{`{"action":"register"}`, "register", "Unknown Action"},
		{`{"action":"RemoveUser","type":"ping"}`, "RemoveUser", "Unknown Action"},
		{`{"action":"` + strings.Repeat("é", 300) + `"}`, strings.Repeat("é", 64), "Unknown Action"},
		{`{"type":"ping"}`, "root", "Missing required fields in the JSON message"},
		{`{"action":"Register"}`, "Register", "Missing required fields in the JSON message"},
		{`{"action":"Register","API_KEY":"k","checksum":"x","name":"n","prompt":5}`, "Register", "Missing required fields in the JSON message"},
		{`{"action":"Register","api_key":"k","checksum":"x","name":"n","prompt":"p"}`, "Register", "Missing required fields in the JSON message"},
		{`{"action":"Register","API_KEY":"API_KEY1234","checksum":"x","name":"n","prompt":"p"}`, "Register", "Invalid API Key"},
		{`{"action":"Register","API_KEY":"` + actionKey + `","checksum":"sum of ann","name":"n","prompt":"p"}`, "Register", "Error saving in database"},
		{`{"action":"Register","API_KEY":"` + actionKey + `","checksum":"x","name":"n","prompt":"` + strings.Repeat("p", 20_000) + `"}`, "Register", "prompt: has 20000 bytes, and may have 16384"},
		{`{"action":"Register","API_KEY":"` + actionKey + `","checksum":"x","name":"n\u0000","prompt":"p"}`, "Register", "name: contains the character U+0000"},
		{`{"action":"Connection"}`, "Connection", "Missing required fields in the JSON message"},
		{`{"action":"Connection","checksum":"nobody"}`, "Connection", "Account doesn't exist"},
		{`{"action":"TakeDecision","message":"x"}`, "Connection", "No token in request body"},
		{`{"action":"TakeDecision","token":{},"message":"x"}`, "Connection", "No token in request body"},
		{`{"action":"TakeDecision","token":"x","message":"x"}`, "Connection", "Error while verifying JWT"},
		{`{"action":"TakeDecision","token":"` + token + `"}`, "MakeDecision", "Missing required fields in the JSON message"},
		{`{"action":"TakeDecision","token":"` + token + `","message":"` + strings.Repeat("m", 20_000) + `"}`, "MakeDecision", "message: has 20000 bytes, and may have 16384"},
		{`{"action":"TakeDecision","token":"` + token + `","message":"busy"}`, "MakeDecision", "Error while calling MakeDecision service"},
		{`{"action":"TakeDecision","token":"` + token + `","message":"silence"}`, "MakeDecision", "Error while calling MakeDecision service"},
		{`{"action":"Disconnect"}`, "Connection", "No token in request body"},
		{`{"action":"Disconnect","token":"."}`, "Connection", "Error while verifying JWT"},
	} {
		c.is(c.ask("%s", tt.send), "error", tt.route, tt.message)
	}
	c.register("sum of bob", "bob", "p")
	c.is(c.ask(`{"action":"Register","API_KEY":%q,"checksum":"x","name":"n","prompt":"p"}`, actionKey), "error", "Register", "Error saving in database")
	// It is still open, and what failed is not remembered as said.
	c.is(c.ask(`{"action":"TakeDecision","token":%q,"message":"and now?"}`, token), "success", "MakeDecision", "You said: and now?")
	if last := model.Requests()[len(model.Requests())-1]; strings.Contains(string(last.Body), "busy") {
		t.Errorf("the model was told %s", last.Body)
	}
	c.is(c.ask(`{"action":"TakeDecision","token":%q,"message":%q}`, token, strings.Repeat("x", 70_000)), "error", "root", "a message may have 65536 bytes")
}

func TestActionStaysSilent(t *testing.T) {
	s, _ := actionServer(t, func(c *config.Config) { c.WebSocket.Action.Silent = true })
	c := dial(t, s, "/ws/action")
	c.send(`{"action":"Status"}`)
	c.is(c.ask(`{"action":"Connection","checksum":"nobody"}`), "error", "Connection", "Account doesn't exist")
}

// Without an API key nobody can register, and without a model a decision says
// so.
func TestActionIsOffUntilThereIsAKey(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, res, err := websocket.Dial(ctx, strings.Replace(s.URL, "http", "ws", 1)+"/ws/action", http.Header{})
	if err == nil || res == nil || res.StatusCode != http.StatusNotFound {
		t.Errorf("the path is there: %v", err)
	}
	if n := strings.Count(s.Log.String(), "the dialect action is not spoken: set websocket.action.apiKey"); n != 1 {
		t.Errorf("it is said %d times", n)
	}

	s = servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.WebSocket.Action.APIKey = actionKey }})
	c := dial(t, s, "/ws/action")
	token := c.register("azerty", "tom", "juste le boss")
	c.is(c.ask(`{"action":"TakeDecision","token":%q,"message":"Hello"}`, token), "success", "MakeDecision",
		"No language model is configured on this server, so this prompt was not answered: Hello")
}

// Accounts decide side by side on one connection, and one after the other each.
func TestActionDecidesInOrder(t *testing.T) {
	s, model := actionServer(t, func(c *config.Config) { c.WebSocket.Action.Waiting = 2 })
	c := dial(t, s, "/ws/action")
	slow, quick := c.register("slow", "s", "p"), c.register("quick", "q", "p")
	model.On("first", providertest.Stream(providertest.Step{Stall: true}))
	for _, message := range []string{"first", "second", "third", "too many"} {
		c.send(fmt.Sprintf(`{"action":"TakeDecision","token":%q,"message":%q}`, slow, message))
	}
	c.is(c.next(), "error", "MakeDecision", "2 decisions of this account wait already: wait for an answer")
	c.is(c.ask(`{"action":"TakeDecision","token":%q,"message":"quick"}`, quick), "success", "MakeDecision", "You said: quick")
	eventually.True(t, func() bool { return len(model.Requests()) == 2 }) // the first, and the quick one
	model.Close()                                                         // what stalls breaks off, and those in line have their turn
	c.is(c.next(), "error", "MakeDecision", "Error while calling MakeDecision service")
	c.is(c.next(), "success", "MakeDecision", "You said: second")
	c.is(c.next(), "success", "MakeDecision", "You said: third")
}

func TestActionDecisionsEnd(t *testing.T) {
	s, model := actionServer(t, func(c *config.Config) { c.WebSocket.Action.Timeout = 300 * time.Millisecond })
	c := dial(t, s, "/ws/action")
	token := c.register("azerty", "tom", "p")
	model.On("stall", providertest.Stream(providertest.Step{Stall: true}))
	for range 2 { // in line as well
		c.send(fmt.Sprintf(`{"action":"TakeDecision","token":%q,"message":"stall"}`, token))
	}
	for range 2 {
		c.is(c.next(), "error", "MakeDecision", "Error while calling MakeDecision service")
	}
	// The end of the connection ends what is asked for it.
	s, model = actionServer(t, nil)
	c = dial(t, s, "/ws/action")
	token = c.register("azerty", "tom", "p")
	model.On("stall", providertest.Stream(providertest.Step{Stall: true}))
	c.send(fmt.Sprintf(`{"action":"TakeDecision","token":%q,"message":"stall"}`, token))
	eventually.True(t, func() bool { return model.Active() == 1 })
	c.ws.Close()
	eventually.True(t, func() bool { return model.Active() == 0 })
	// And a token that ends while its decision waits is not good any more.
	c = dial(t, s, "/ws/action")
	c.send(fmt.Sprintf(`{"action":"TakeDecision","token":%q,"message":"stall"}`, token))
	eventually.True(t, func() bool { return model.Active() == 1 })
	c.send(fmt.Sprintf(`{"action":"TakeDecision","token":%q,"message":"late"}`, token))
	if gone := c.ask(`{"action":"Disconnect","token":%q}`, token); gone["message"] != "Disconnected" {
		t.Fatal(gone)
	}
	model.Close()
	c.is(c.next(), "error", "MakeDecision", "Error while calling MakeDecision service")
	c.is(c.next(), "error", "Connection", "Invalid Token")
}

func TestActionAttacks(t *testing.T) {
	s, _ := actionServer(t, func(c *config.Config) { c.WebSocket.Action.Failures.Limit = 5 })
	victim := dial(t, s, "/ws/action")
	token := victim.register("azerty", "tom", "p")

	t.Run("checksums", func(t *testing.T) {
		c, other := dial(t, s, "/ws/action"), dial(t, s, "/ws/action")
		for n := range 6 {
			c.send(fmt.Sprintf(`{"action":"Connection","checksum":"guess %d"}`, n))
		}
		// From here on even the right one is refused, on any connection.
		c.send(`{"action":"Connection","checksum":"azerty"}`)
		for range 6 {
			c.is(c.next(), "error", "Connection", "Account doesn't exist")
		}
		c.is(c.next(), "error", "Connection", "too many failed attempts: wait, then try again (1 s)")
		c.is(other.ask(`{"action":"Connection","checksum":"azerty"}`), "error", "Connection", "too many failed attempts: wait, then try again (1 s)")
		// Who is in stays in.
		victim.is(victim.ask(`{"action":"TakeDecision","token":%q,"message":"hi"}`, token), "success", "MakeDecision", "You said: hi")
	})
	t.Run("API keys", func(t *testing.T) {
		c := dial(t, s, "/ws/action")
		register := func(key string) {
			c.send(fmt.Sprintf(`{"action":"Register","API_KEY":%q,"checksum":"mine","name":"n","prompt":"p"}`, key))
		}
		for n := range 6 {
			register(fmt.Sprint(actionKey[:31], "x", n))
		}
		register(actionKey)
		for range 6 {
			c.is(c.next(), "error", "Register", "Invalid API Key")
		}
		c.is(c.next(), "error", "Register", "too many failed attempts: wait, then try again (1 s)")
	})
	t.Run("tokens", func(t *testing.T) {
		c := dial(t, s, "/ws/action")
		parts := strings.Split(token, ".")
		encode := base64.RawURLEncoding.EncodeToString
		body, _ := base64.RawURLEncoding.DecodeString(parts[1])
		for name, forged := range map[string]string{
			"alg none":             encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".",
			"alg none, signed":     encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "." + parts[2],
			"another account":      parts[0] + "." + encode([]byte(strings.Replace(string(body), `"user_id":"`, `"user_id":"0`, 1))) + "." + parts[2],
			"without a signature":  parts[0] + "." + parts[1] + ".",
			"of a user":            s.Token("ann", "default", auth.Admin),
			"signature cut":        token[:len(token)-1],
			"a signature's spaces": token + " ",
			"huge":                 token + strings.Repeat("x", 10_000),
			"nothing":              "..",
		} {
			reply := c.ask(`{"action":"TakeDecision","token":%q,"message":"x"}`, forged)
			message, _ := reply["message"].(string)
			if message != "Error while verifying JWT" && !strings.HasPrefix(message, "too many failed attempts") || reply["status"] != "error" || len(reply) != 3 {
				t.Errorf("%s: %v", name, reply)
			}
		}
		// A good one is let in however many bad ones came before.
		c.is(c.ask(`{"action":"TakeDecision","token":%q,"message":"x"}`, token), "success", "MakeDecision", "You said: x")
	})
	t.Run("elsewhere", func(t *testing.T) {
		for _, path := range []string{"/api/v1/me", "/api/meet/turn-credentials"} {
			if res, body := s.Send(token, "GET", path, http.Header{}, nil); res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s: %d %s", path, res.StatusCode, body)
			}
		}
		if c, res := dialWith(t, s, "/ws/genesis?token="+token, http.Header{}); c != nil || res.StatusCode != http.StatusUnauthorized {
			t.Errorf("/ws/genesis: %v", res.Status)
		}
		for _, path := range []string{"/api/ws?token=", "/ws/bots?token=", "/ws/meet?token=", "/ws/meet/room?token="} {
			c := dial(t, s, path+token)
			if m := c.next(); m["type"] != "error" {
				t.Errorf("%s: %v", path, m)
			}
			c.ended(4401)
		}
		c := dial(t, s, "/ws/bots")
		c.send(fmt.Sprintf(`{"type":"auth","token":%q}`, token))
		if m := c.next(); m["type"] != "error" || m["code"] != "AUTH_FAILED" {
			t.Errorf("bots: %v", m)
		}
		// A good token of a user at the door is no account's.
		c = dial(t, s, "/ws/action?token="+s.Token("ann", "default", auth.Admin))
		c.is(c.ask(`{"action":"TakeDecision","message":"x"}`), "error", "Connection", "No token in request body")
	})
}

func TestActionTokensExpire(t *testing.T) {
	s, _ := actionServer(t, func(c *config.Config) { c.WebSocket.Action.TokenLife = time.Millisecond })
	c := dial(t, s, "/ws/action")
	token := c.register("azerty", "tom", "p")
	for _, action := range []string{"TakeDecision", "Disconnect"} {
		c.is(c.ask(`{"action":%q,"token":%q,"message":"x"}`, action, token), "error", "Connection", "Error while verifying JWT")
	}
}

// Accounts and tokens are those of all instances, and so are turns.
func TestActionAcrossInstances(t *testing.T) {
	url := postgrestest.URL(t)
	change := func(c *config.Config) {
		c.Store.Driver, c.Store.URL = config.Postgres, config.Secret(url)
		c.WebSocket.Action.Secret = "0f4b2c6d8e1a3957bd02468ace13579f"
	}
	one, modelOne := actionServer(t, change)
	two, modelTwo := actionServer(t, change)
	a, b := dial(t, one, "/ws/action"), dial(t, two, "/ws/action")
	token := a.register("azerty", "tom", "p")
	b.is(b.ask(`{"action":"Register","API_KEY":%q,"checksum":"azerty","name":"n","prompt":"p"}`, actionKey), "error", "Register", "Error saving in database")
	a.is(a.ask(`{"action":"TakeDecision","token":%q,"message":"one"}`, token), "success", "MakeDecision", "You said: one")
	b.is(b.ask(`{"action":"TakeDecision","token":%q,"message":"two"}`, token), "success", "MakeDecision", "You said: two")
	if told := string(modelTwo.Requests()[0].Body); !strings.Contains(told, "You said: one") {
		t.Errorf("the other instance was not told what went before: %s", told)
	}
	modelOne.On("stall", providertest.Stream(providertest.Step{Stall: true}))
	a.send(fmt.Sprintf(`{"action":"TakeDecision","token":%q,"message":"stall"}`, token))
	eventually.True(t, func() bool { return modelOne.Active() == 1 })
	b.send(fmt.Sprintf(`{"action":"TakeDecision","token":%q,"message":"after"}`, token))
	if n := len(modelTwo.Requests()); n != 1 {
		t.Errorf("both decide at once")
	}
	modelOne.Close()
	a.is(a.next(), "error", "MakeDecision", "Error while calling MakeDecision service")
	b.is(b.next(), "success", "MakeDecision", "You said: after")

	fresh := b.token(b.ask(`{"action":"Connection","checksum":"azerty"}`), "Connection")
	a.is(a.ask(`{"action":"TakeDecision","token":%q,"message":"x"}`, token), "error", "Connection", "Invalid Token")
	if gone := a.ask(`{"action":"Disconnect","token":%q}`, fresh); gone["message"] != "Disconnected" {
		t.Error(gone)
	}
	b.is(b.ask(`{"action":"TakeDecision","token":%q,"message":"x"}`, fresh), "error", "Connection", "Invalid Token")
}
