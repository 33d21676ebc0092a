package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestChatModels(t *testing.T) {
	c, err := Load(Source{
		File: write(t, `
chat:
  models:
    - {name: small, provider: openai, url: https://h/v1, keyFile: `+write(t, "here\n")+`, model: S, default: true, headers: [{name: X-Own, value: here}], maxBytes: 2MiB, timeout: 3s, retries: 0}
    - {name: large, provider: openai, url: https://h/v1, maxTokens: 7}
    - {name: none, provider: builtin}
`),
		Env: []string{"ROOMCAST_CHAT_MODELS_1_KEY=here too"},
	})
	if err != nil {
		t.Fatal(err)
	}
	none := 0
	want := []ChatModel{
		{Name: "small", Provider: OpenAI, URL: "https://h/v1", Key: "here", KeyFile: c.Chat.Models[0].KeyFile, Model: "S", Default: true, Headers: []ChatHeader{{"X-Own", "here"}}, MaxBytes: 2 << 20, Timeout: 3 * time.Second, Retries: &none},
		{Name: "large", Provider: OpenAI, URL: "https://h/v1", Key: "here too", MaxTokens: 7},
		{Name: "none", Provider: Builtin},
	}
	if !reflect.DeepEqual(c.Chat.Models, want) {
		t.Errorf("got\n%+v\nwant\n%+v", c.Chat.Models, want)
	}
	if problems := c.Check(); problems != nil {
		t.Error(problems)
	}
	if text := fmt.Sprintf("%+v %#v", c, c.Chat.Models); strings.Contains(text, "here") {
		t.Errorf("a secret was printed: %s", text)
	}
	for file, want := range map[string]string{
		"chat: {models: [{nam: x}]}":                 "unknown key chat.models[0].nam, did you mean name?",
		"chat: {models: [{headers: [{nme: x}]}]}":    "unknown key chat.models[0].headers[0].nme, did you mean name?",
		"chat: {models: [{key: a, keyFile: b}]}":     "chat.models[0].key and keyFile are both set",
		"chat: {models: [{keyFile: /no/such/file}]}": "chat.models[0].keyFile: open /no/such/file",
		"chat: {models: [{retries: many}]}":          "retries",
		"chat: {models: {name: x}}":                  "chat.models is not a list",
	} {
		if _, err := Load(Source{File: write(t, file)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestCheckChatModels(t *testing.T) {
	many := 11
	good := ChatModel{Name: "m", Provider: OpenAI, URL: "https://h/v1"}
	for want, change := range map[string]func(m *ChatModel){
		"":                       func(*ChatModel) {},
		"name: is missing":       func(m *ChatModel) { m.Name = "" },
		"name: is longer":        func(m *ChatModel) { m.Name = strings.Repeat("x", 129) },
		`provider: "azure" is`:   func(m *ChatModel) { m.Provider = "azure" },
		"provider: builtin asks": func(m *ChatModel) { m.Provider = Builtin },
		"url: is missing":        func(m *ChatModel) { m.URL = "" },
		"url: is not https":      func(m *ChatModel) { m.URL = "hush.example" },
		"url: holds a user":      func(m *ChatModel) { m.URL = "https://u:hush@h" },
		"url: holds a user, a":   func(m *ChatModel) { m.URL = "https://h?key=hush" },
		"url: ends with /chat":   func(m *ChatModel) { m.URL += "/chat/completions" },
		"tokenTimeout: is":       func(m *ChatModel) { m.TokenTimeout = -1 },
		"retries: 11 is not":     func(m *ChatModel) { m.Retries = &many },
	} {
		c, m := Default(), good
		change(&m)
		c.Chat.Models = []ChatModel{m}
		got := strings.Join(c.Check(), "\n")
		if want != "" {
			want = "chat.models[0]." + want
		}
		if !strings.HasPrefix(got, want) || (want == "") != (got == "") || strings.Contains(got, "hush") {
			t.Errorf("%q: %s", want, got)
		}
	}
	c := Default()
	c.Chat.Assistant = Agent
	if got := strings.Join(c.Check(), "\n"); got != "chat.assistant: agent asks one of chat.models, and there is none" {
		t.Error(got)
	}
	c = Default()
	first := good
	first.Default = true
	c.Chat.Models = []ChatModel{first, first}
	if got := strings.Join(c.Check(), "\n"); got != "chat.models[1].name: \"m\" is the name of another model too\nchat.models[1].default: chat.models[0] is the default already" {
		t.Error(got)
	}
}

func TestModeration(t *testing.T) {
	c, err := Load(Source{
		File: write(t, "chat: {tokensPerDay: 5000, logPrompts: true, moderation: {url: http://10.0.0.7/judge, keyFile: "+write(t, "hush\n")+", timeout: 2s, onError: allow}}"),
		Env:  []string{"ROOMCAST_CHAT_MODERATION_TIMEOUT=3s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Moderation{URL: "http://10.0.0.7/judge", Key: "hush", KeyFile: c.Chat.Moderation.KeyFile, Timeout: 3 * time.Second, OnError: Allow}
	if problems := c.Check(); c.Chat.Moderation != want || c.Chat.TokensPerDay != 5000 || !c.Chat.LogPrompts || problems != nil {
		t.Errorf("%+v, %v", c.Chat, problems)
	}
	for file, want := range map[string]string{
		"tokensPerDay: -1":                           "chat.tokensPerDay: -1 is negative",
		"moderation: {url: 10.0.0.7}":                "chat.moderation.url: is not https://host/path",
		"moderation: {url: 'https://u:hush@h/path'}": "chat.moderation.url: holds a user",
		"moderation: {key: hush}":                    "chat.moderation.url: is missing",
		"moderation: {timeout: 0s}":                  "chat.moderation.timeout: 0s is not a positive duration",
		"moderation: {onError: ask}":                 `chat.moderation.onError: "ask" is not one of allow, refuse`,
	} {
		c, err := Load(Source{File: write(t, "chat: {"+file+"}")})
		if problems := strings.Join(c.Check(), "\n"); err != nil || !strings.Contains(problems, want) || strings.Contains(problems, "hush") {
			t.Errorf("%s: %v %s", file, err, problems)
		}
	}
}
