package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Chat is how messages are answered.
type Chat struct {
	// Assistant is who answers.
	Assistant string `mapstructure:"assistant" yaml:"assistant"`
	// SystemPrompt says who a model is and how it answers; empty is our own.
	SystemPrompt string `mapstructure:"systemPrompt" yaml:"systemPrompt"`
	// ContextTokens bounds what a model is given.
	ContextTokens int           `mapstructure:"contextTokens" yaml:"contextTokens"`
	Timeout       time.Duration `mapstructure:"timeout" yaml:"timeout"`
	Waiting       int           `mapstructure:"waiting" yaml:"waiting"`
	// Busy is what becomes of a message while another of its room is answered.
	Busy           string `mapstructure:"busy" yaml:"busy"`
	Turns          int    `mapstructure:"turns" yaml:"turns"`
	TurnsPerTenant int    `mapstructure:"turnsPerTenant" yaml:"turnsPerTenant"`
	MaxMessage     Size   `mapstructure:"maxMessage" yaml:"maxMessage"`
	// TokensPerDay bounds what models take for one tenant; 0 is no bound.
	TokensPerDay int         `mapstructure:"tokensPerDay" yaml:"tokensPerDay"`
	Moderation   Moderation  `mapstructure:"moderation" yaml:"moderation"`
	LogPrompts   bool        `mapstructure:"logPrompts" yaml:"logPrompts"`
	Models       []ChatModel `mapstructure:"models" yaml:"models"`
}

// Moderation is who judges what is said in conversations.
type Moderation struct {
	URL     string        `mapstructure:"url" yaml:"url"`
	Key     Secret        `mapstructure:"key" yaml:"key"`
	KeyFile string        `mapstructure:"keyFile" yaml:"keyFile"`
	Timeout time.Duration `mapstructure:"timeout" yaml:"timeout"`
	// OnError is what becomes of what was not judged.
	OnError string `mapstructure:"onError" yaml:"onError"`
}

// Allow lets be said what was not judged; the other way is [Refuse].
const Allow = "allow"

func defaultChat() Chat {
	return Chat{
		Assistant: Auto, ContextTokens: 16_000, Timeout: 5 * time.Minute, Waiting: 32, Busy: Queue, Turns: 256, TurnsPerTenant: 64, MaxMessage: 64 << 10,
		Moderation: Moderation{Timeout: 5 * time.Second, OnError: Refuse}, Models: []ChatModel{},
	}
}

// What becomes of messages to a room that is busy.
const (
	Queue  = "queue"
	Refuse = "refuse"
)

// Assistants, besides [Builtin].
const (
	Auto  = "auto" // Agent if there are models, else Builtin
	Agent = "agent"
)

// Providers of models; Builtin is an assistant too.
const (
	Builtin = "builtin"
	OpenAI  = "openai"
)

// ChatModel is a model that answers. What is 0 is the default of the provider.
type ChatModel struct {
	Name     string `mapstructure:"name" yaml:"name"`
	Provider string `mapstructure:"provider" yaml:"provider"`
	Default  bool   `mapstructure:"default" yaml:"default"`
	// Model is what the provider calls it; empty is Name.
	Model             string        `mapstructure:"model" yaml:"model"`
	URL               string        `mapstructure:"url" yaml:"url"`
	Key               Secret        `mapstructure:"key" yaml:"key"`
	KeyFile           string        `mapstructure:"keyFile" yaml:"keyFile"`
	Organization      string        `mapstructure:"organization" yaml:"organization"`
	Headers           []ChatHeader  `mapstructure:"headers" yaml:"headers"`
	MaxTokens         int           `mapstructure:"maxTokens" yaml:"maxTokens"`
	MaxBytes          Size          `mapstructure:"maxBytes" yaml:"maxBytes"`
	Timeout           time.Duration `mapstructure:"timeout" yaml:"timeout"`
	ConnectTimeout    time.Duration `mapstructure:"connectTimeout" yaml:"connectTimeout"`
	FirstTokenTimeout time.Duration `mapstructure:"firstTokenTimeout" yaml:"firstTokenTimeout"`
	TokenTimeout      time.Duration `mapstructure:"tokenTimeout" yaml:"tokenTimeout"`
	// Retries is nil if it is not set.
	Retries *int `mapstructure:"retries" yaml:"retries"`
}

// ChatHeader goes with every request to a provider.
type ChatHeader struct {
	Name  string `mapstructure:"name" yaml:"name"`
	Value Secret `mapstructure:"value" yaml:"value"`
}

const (
	maxModelName = 128
	maxRetries   = 10
)

// readFiles reads what the keys that end with File name.
func (c *Chat) readFiles() error {
	if err := readSecrets("chat.moderation.", []secretFile{{"key", c.Moderation.KeyFile, &c.Moderation.Key}}); err != nil {
		return err
	}
	for n := range c.Models {
		m := &c.Models[n]
		if err := readSecrets(fmt.Sprintf("chat.models[%d].", n), []secretFile{{"key", m.KeyFile, &m.Key}}); err != nil {
			return err
		}
	}
	return nil
}

// check reports what is wrong with the models, and with who asks and judges them.
func (c Chat) check() (problems []string) {
	if c.TokensPerDay < 0 {
		problems = append(problems, fmt.Sprintf("chat.tokensPerDay: %d is negative: 0 is no limit", c.TokensPerDay))
	}
	if problem := c.Moderation.problem(); problem != "" {
		problems = append(problems, "chat.moderation.url: "+problem)
	}
	if c.Assistant == Agent && len(c.Models) == 0 {
		problems = append(problems, "chat.assistant: agent asks one of chat.models, and there is none")
	}
	names, standard := map[string]bool{}, ""
	for n, m := range c.Models {
		add := func(key, format string, args ...any) {
			problems = append(problems, fmt.Sprintf("chat.models[%d].%s: %s", n, key, fmt.Sprintf(format, args...)))
		}
		switch {
		case m.Name == "":
			add("name", "is missing: it is what users and workflows call the model")
		case len(m.Name) > maxModelName:
			add("name", "is longer than %d bytes", maxModelName)
		case names[m.Name]:
			add("name", "%q is the name of another model too", m.Name)
		}
		names[m.Name] = true
		if m.Default && standard != "" {
			add("default", "%s is the default already", standard)
		}
		if m.Default {
			standard = fmt.Sprintf("chat.models[%d]", n)
		}
		m.check(add)
	}
	return problems
}

func (m Moderation) problem() string {
	switch {
	case m.URL != "":
		return endpointProblem(m.URL)
	case m.Key != "":
		return "is missing: the key is for it"
	}
	return ""
}

func (m ChatModel) check(add func(key, format string, args ...any)) {
	if !slices.Contains([]string{Builtin, OpenAI}, m.Provider) {
		add("provider", "%q is not one of %s, %s", m.Provider, Builtin, OpenAI)
	}
	if m.Provider == Builtin && (m.URL != "" || m.Key != "" || m.Organization != "" || len(m.Headers) > 0) {
		add("provider", "%s asks nobody: url, key, organization and headers are for %s", Builtin, OpenAI)
	}
	if m.Provider == OpenAI {
		m.checkURL(add)
	}
	for key, n := range map[string]int64{
		"maxTokens": int64(m.MaxTokens), "maxBytes": int64(m.MaxBytes), "timeout": int64(m.Timeout), "connectTimeout": int64(m.ConnectTimeout),
		"firstTokenTimeout": int64(m.FirstTokenTimeout), "tokenTimeout": int64(m.TokenTimeout),
	} {
		if n < 0 {
			add(key, "is negative: leave it out for the default")
		}
	}
	if r := m.Retries; r != nil && (*r < 0 || *r > maxRetries) {
		add("retries", "%d is not between 0 and %d", *r, maxRetries)
	}
}

// checkURL does not show the address, which may hold a secret.
func (m ChatModel) checkURL(add func(key, format string, args ...any)) {
	problem := endpointProblem(m.URL)
	switch {
	case m.URL == "":
		add("url", "is missing: it is what comes before /chat/completions, such as https://api.openai.com/v1")
	case problem != "":
		add("url", "%s", problem)
	case strings.HasSuffix(strings.TrimRight(m.URL, "/"), "/chat/completions"):
		add("url", "ends with /chat/completions, which is added to it")
	}
}

// endpointProblem says what is wrong with an address, "" if nothing is, and does
// not show it.
func endpointProblem(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "is not https://host/path"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "holds a user, a query or a fragment: secrets have settings of their own"
	}
	return ""
}
