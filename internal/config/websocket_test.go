package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestActionSecretsComeFromFiles(t *testing.T) {
	c, err := Load(Source{
		File: write(t, "websocket: {action: {apiKeyFile: "+write(t, "hush-of-a-file\n")+", tenant: game, failures: {limit: 3}}}"),
		Env:  []string{"ROOMCAST_WEBSOCKET_ACTION_SECRET=hush of the environment, which is long"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Default().WebSocket.Action
	want.APIKey, want.APIKeyFile = "hush-of-a-file", c.WebSocket.Action.APIKeyFile
	want.Secret, want.Tenant, want.Failures.Limit = "hush of the environment, which is long", "game", 3
	if c.WebSocket.Action != want || len(c.Check()) > 0 {
		t.Errorf("got %+v, %v", c.WebSocket.Action, c.Check())
	}
	if text := fmt.Sprintf("%+v %#v", c, c.WebSocket); strings.Contains(text, "hush of") || strings.Contains(text, "hush-") {
		t.Errorf("a secret was printed: %s", text)
	}
	for file, want := range map[string]string{
		"websocket: {action: {apiKey: a, apiKeyFile: b}}":         "websocket.action.apiKey and apiKeyFile are both set",
		"websocket: {action: {secretFile: /no/such/file}}":        "websocket.action.secretFile: open /no/such/file",
		"websocket: {action: {secretFile: " + write(t, "") + "}}": "is empty",
	} {
		if _, err := Load(Source{File: write(t, file)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestCheckAction(t *testing.T) {
	for want, change := range map[string]func(c *Config){
		"":                           func(c *Config) { c.WebSocket.Action.APIKey = "k" },
		"action.secret: has 5 bytes": func(c *Config) { c.WebSocket.Action.Secret = "short" },
		"action.secret: is missing": func(c *Config) {
			c.WebSocket.Action.APIKey, c.Store.Driver, c.Store.URL = "k", Postgres, "postgres://h/d"
		},
		"action.tenant: is empty":                 func(c *Config) { c.WebSocket.Action.Tenant = "" },
		"action.history and action.maxTokens":     func(c *Config) { c.WebSocket.Action.History = -1 },
		"action.timeout: must be more than 0":     func(c *Config) { c.WebSocket.Action.Timeout = 0 },
		"action.failures.maxWait: 2h0m0s is":      func(c *Config) { c.WebSocket.Action.Failures.MaxWait = 2 * time.Hour },
		"action.failures.limit: must be more tha": func(c *Config) { c.WebSocket.Action.Failures.Limit = 0 },
	} {
		c := Default()
		change(&c)
		got := strings.Join(c.Check(), "\n")
		if want != "" {
			want = "websocket." + want
		}
		if !strings.HasPrefix(got, want) || (want == "") != (got == "") || strings.Contains(got, "short") {
			t.Errorf("%q: %s", want, got)
		}
	}
	for key, want := range map[Secret]string{
		"": "", "b1946ac92492d2347c6235b4d2611184": "",
		"API_KEY1234": "websocket.action.apiKey: has only 11 characters",
		"azerty":      "websocket.action.apiKey: has only 6 different characters",
	} {
		c := Default()
		c.WebSocket.Action.APIKey = key
		if got := strings.Join(c.Warnings(), "\n"); !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("%q: %s", string(key), got)
		}
	}
}
