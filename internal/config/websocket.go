package config

import (
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
	}
}

// check reports what is wrong.
func (c WebSocket) check() (problems []string) {
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
	if c.Idle > 0 && c.Ping >= c.Idle {
		add("idle", "%v is not more than websocket.ping, %v: clients that only listen would be ended", c.Idle, c.Ping)
	}
	return append(problems, c.Meet.check()...)
}
