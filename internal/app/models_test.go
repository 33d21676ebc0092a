package app_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/chat/provider/providertest"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
)

// Nodes of workflows ask models of the configuration by their names.
func TestModels(t *testing.T) {
	endpoint := providertest.New()
	defer endpoint.Close()
	server := httptest.NewServer(endpoint)
	defer server.Close()
	none := 0
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) {
		c.Chat.Models = []config.ChatModel{
			{Name: "none", Provider: config.Builtin},
			{Name: "small", Provider: config.OpenAI, URL: server.URL + "/v1", Key: "sk-hush", Model: "small-2026", MaxTokens: 50, Retries: &none, Default: true, Headers: []config.ChatHeader{{Name: "X-Title", Value: "t"}}},
		}
	}})
	endpoint.On("busy", providertest.Failure(429, "rate_limit_exceeded"))
	token := s.Token("ada", "acme", auth.Admin)
	for data, want := range map[string]string{
		`"prompt": "Hello, {{input.name}}", "system": "Be kind.", "maxTokens": 99`: `"aiResult":{"finishReason":"stop","model":"small","text":"You said: Hello, Ada"}`,
		`"prompt": "one two three", "model": "small", "maxTokens": 3`:              `"aiResult":{"finishReason":"length","model":"small","text":"You said: one `,
		`"prompt": "Hello", "model": "none"`:                                       `No language model is configured`,
		`"prompt": "Hello", "model": "smal"`:                                       `there is no model \"smal\": did you mean \"small\"?`,
		`"prompt": "busy"`:                                                         `the language model is asked too much at the moment (status 429, rate_limit_exceeded)`,
	} {
		if got := runNode(t, s, token, data); !strings.Contains(got, want) || strings.Contains(got, "hush") || strings.Contains(got, providertest.Secret) {
			t.Errorf("%s: %s, want %s", data, got, want)
		}
	}
	for _, r := range endpoint.Requests() {
		if r.Header.Get("Authorization") != "Bearer sk-hush" || r.Header.Get("X-Title") != "t" || !strings.Contains(string(r.Body), `"model":"small-2026"`) || strings.Contains(string(r.Body), "ada") {
			t.Errorf("%v %s", r.Header, r.Body)
		}
		if body := string(r.Body); strings.Contains(body, "Hello, Ada") && !(strings.Contains(body, `"max_tokens":50`) && strings.Contains(body, `{"role":"system","content":"Be kind."}`)) {
			t.Error(body)
		}
	}
}

// runNode runs a workflow of an ai node and returns the state at the end.
func runNode(t *testing.T, s *servertest.Server, token, data string) string {
	t.Helper()
	definition := `{"title": "t", "definition": {"nodes": [{"id": "s", "type": "start"}, {"id": "a", "type": "ai", "data": {` + data + `}}, {"id": "e", "type": "end"}],
		"edges": [{"id": "1", "source": "s", "target": "a"}, {"id": "2", "source": "a", "target": "e"}]}}`
	var saved struct{ WorkflowID string }
	s.Do(token, "POST", "/api/v1/tenants/acme/workflows", definition, &saved)
	var run struct{ InstanceID string }
	s.Do(token, "POST", "/api/v1/tenants/acme/workflows/"+saved.WorkflowID+"/execute", `{"inputValues": {"name": "Ada"}}`, &run)
	var raw json.RawMessage
	eventually.True(t, func() bool {
		s.Do(token, "GET", "/api/v1/tenants/acme/workflows/instances/"+run.InstanceID, nil, &raw)
		return !strings.Contains(string(raw), `"RUNNING"`) && !strings.Contains(string(raw), `"PENDING"`)
	})
	return string(raw)
}

// What nodes take of models counts as what conversations take, and is refused
// when the day has none left.
func TestTokensOfNodes(t *testing.T) {
	endpoint := providertest.New()
	defer endpoint.Close()
	server := httptest.NewServer(endpoint)
	defer server.Close()
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) {
		c.Chat.Models = []config.ChatModel{{Name: "small", Provider: config.OpenAI, URL: server.URL + "/v1", Default: true}}
		c.Chat.TokensPerDay = 1
	}})
	token := s.Token("ada", "acme", auth.Admin)
	for _, want := range []string{`You said: hello`, `the 1 tokens that tenant acme has for a day are used up`} {
		if got := runNode(t, s, token, `"prompt": "hello"`); !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if n := len(endpoint.Requests()); n != 1 {
		t.Errorf("the model was asked %d times", n)
	}
}

func TestCheckModels(t *testing.T) {
	if err := app.CheckModels(nil); err != nil {
		t.Error(err)
	}
	err := app.CheckModels([]config.ChatModel{{Name: "m", Provider: config.OpenAI, URL: "https://h", Headers: []config.ChatHeader{{Name: "Host"}}}})
	if err == nil || err.Error() != `chat.models[0].headers[0].name: "Host" is set by the server itself and cannot be set here` {
		t.Error(err)
	}
}
