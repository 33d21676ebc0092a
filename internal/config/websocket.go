package config

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// WebSocket is what clients find that do not speak Socket.IO.
type WebSocket struct {
	// Dialects are those that are spoken.
	Dialects []string `mapstructure:"dialects" yaml:"dialects"`
	// Default answers what is of no dialect.
	Default     string        `mapstructure:"default" yaml:"default"`
	PerAddress  int           `mapstructure:"perAddress" yaml:"perAddress"`
	MaxMessage  Size          `mapstructure:"maxMessage" yaml:"maxMessage"`
	SendLimit   Size          `mapstructure:"sendLimit" yaml:"sendLimit"`
	Rate        int           `mapstructure:"rate" yaml:"rate"`
	Burst       int           `mapstructure:"burst" yaml:"burst"`
	Ping        time.Duration `mapstructure:"ping" yaml:"ping"`
	Idle        time.Duration `mapstructure:"idle" yaml:"idle"`
	IdleData    bool          `mapstructure:"idleData" yaml:"idleData"`
	AuthTimeout time.Duration `mapstructure:"authTimeout" yaml:"authTimeout"`
	Silence     time.Duration `mapstructure:"silence" yaml:"silence"`
	Service     WSService     `mapstructure:"service" yaml:"service"`
	Meet        Meet          `mapstructure:"meet" yaml:"meet"`
	Action      Action        `mapstructure:"action" yaml:"action"`
}

// Action is the dialect of that name, which is not spoken without an API key.
type Action struct {
	APIKey     Secret `mapstructure:"apiKey" yaml:"apiKey"`
	APIKeyFile string `mapstructure:"apiKeyFile" yaml:"apiKeyFile"`
	// Secret is what tokens and checksums are hashed with. Servers that share a
	// database share it; a server that has its own makes one if there is none.
	Secret     Secret        `mapstructure:"secret" yaml:"secret"`
	SecretFile string        `mapstructure:"secretFile" yaml:"secretFile"`
	Tenant     string        `mapstructure:"tenant" yaml:"tenant"`
	Accounts   int           `mapstructure:"accounts" yaml:"accounts"`
	TokenLife  time.Duration `mapstructure:"tokenLife" yaml:"tokenLife"`
	Model      string        `mapstructure:"model" yaml:"model"`
	MaxTokens  int           `mapstructure:"maxTokens" yaml:"maxTokens"`
	Timeout    time.Duration `mapstructure:"timeout" yaml:"timeout"`
	History    int           `mapstructure:"history" yaml:"history"`
	Waiting    int           `mapstructure:"waiting" yaml:"waiting"`
	Decisions  int           `mapstructure:"decisions" yaml:"decisions"`
	Silent     bool          `mapstructure:"silent" yaml:"silent"`
	Failures   Failures      `mapstructure:"failures" yaml:"failures"`
}

// WSService is the dialect service.
type WSService struct {
	// Acks has subscribing and unsubscribing confirmed.
	Acks bool `mapstructure:"acks" yaml:"acks"`
}

// The dialects.
var dialects = []string{"genesis", "action", "bots", "service", "meet"}

func defaultWebSocket() WebSocket {
	return WebSocket{
		Dialects: slices.Clone(dialects), Default: "bots", PerAddress: 100, MaxMessage: 64 << 10, SendLimit: 1 << 20, Rate: 50, Burst: 100,
		Ping: 30 * time.Second, Idle: 5 * time.Minute, AuthTimeout: 10 * time.Second, Silence: 5 * time.Second,
		Service: WSService{Acks: true},
		Meet:    defaultMeet(),
		Action: Action{
			Tenant: "default", Accounts: 10_000, TokenLife: 24 * time.Hour, MaxTokens: 1024, Timeout: 30 * time.Second, History: 10, Waiting: 8, Decisions: 64,
			Failures: Failures{Limit: 20, Window: time.Hour, MaxWait: 15 * time.Minute},
		},
	}
}

// readFiles reads what the keys that end with File name.
func (c *WebSocket) readFiles() error {
	a := &c.Action
	return errors.Join(c.Meet.readFile(),
		readSecrets("websocket.action.", []secretFile{{"apiKey", a.APIKeyFile, &a.APIKey}, {"secret", a.SecretFile, &a.Secret}}))
}

// minActionSecret is the size of the hash that is keyed with it.
const minActionSecret = 32

// check reports what is wrong. shared tells that other servers may use the same
// database.
func (a Action) check(shared bool, add func(key, format string, args ...any)) {
	switch n := len(a.Secret); {
	case n > 0 && n < minActionSecret:
		add("action.secret", "has %d bytes, at least %d are needed: make one with `openssl rand -hex 32`", n, minActionSecret)
	case n == 0 && shared && a.APIKey != "":
		add("action.secret", "is missing: servers that share a database need the same: make one with `openssl rand -hex 32`")
	}
	if a.Tenant == "" {
		add("action.tenant", "is empty: name the tenant that accounts are in")
	}
	if a.History < 0 || a.MaxTokens < 0 {
		add("action.history and action.maxTokens", "are negative: 0 is none, and the model's own limit")
	}
	for key, n := range map[string]int64{
		"accounts": int64(a.Accounts), "tokenLife": int64(a.TokenLife), "timeout": int64(a.Timeout), "waiting": int64(a.Waiting), "decisions": int64(a.Decisions),
		"failures.limit": int64(a.Failures.Limit), "failures.window": int64(a.Failures.Window), "failures.maxWait": int64(a.Failures.MaxWait),
	} {
		if n <= 0 {
			add("action."+key, "must be more than 0")
		}
	}
	if a.Failures.MaxWait > a.Failures.Window {
		add("action.failures.maxWait", "%v is more than websocket.action.failures.window, %v, after which everything is forgotten", a.Failures.MaxWait, a.Failures.Window)
	}
}

// shortKey is how many characters an API key has at least that cannot be
// guessed, however many try.
const shortKey = 20

// warnings names what may be guessed.
func (a Action) warnings() (warnings []string) {
	for key, secret := range map[string]Secret{"apiKey": a.APIKey, "secret": a.Secret} {
		why := weak(string(secret))
		if n := len(secret); why == "" && n > 0 && n < shortKey {
			why = fmt.Sprintf("has only %d characters", n)
		}
		if why != "" {
			warnings = append(warnings, fmt.Sprintf("websocket.action.%s: %s: make one with `openssl rand -hex 32`", key, why))
		}
	}
	return warnings
}

// check reports what is wrong.
func (c WebSocket) check(shared bool) (problems []string) {
	add := func(key, format string, args ...any) {
		problems = append(problems, "websocket."+key+": "+fmt.Sprintf(format, args...))
	}
	for _, d := range c.Dialects {
		if !slices.Contains(dialects, d) {
			add("dialects", "%q is not one of %v", d, dialects)
		}
	}
	if c.Default == "meet" || len(c.Dialects) > 0 && !slices.Contains(c.Dialects, c.Default) {
		add("default", "%q is not one of websocket.dialects without meet", c.Default)
	}
	for key, n := range map[string]int64{
		"perAddress": int64(c.PerAddress), "maxMessage": int64(c.MaxMessage), "sendLimit": int64(c.SendLimit), "rate": int64(c.Rate), "burst": int64(c.Burst),
		"ping": int64(c.Ping), "idle": int64(c.Idle), "authTimeout": int64(c.AuthTimeout), "silence": int64(c.Silence),
	} {
		if n <= 0 {
			add(key, "must be more than 0")
		}
	}
	c.Action.check(shared, add)
	if c.Idle > 0 && c.Ping >= c.Idle {
		add("idle", "%v is not more than websocket.ping, %v: clients that only listen would be ended", c.Idle, c.Ping)
	}
	return append(problems, c.Meet.check()...)
}
