// Package config reads the configuration: defaults, then a file, then the
// environment, then flags, each overriding the one before. It is the only
// package that knows viper.
package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Config is the whole configuration. Packages get the parts they need.
type Config struct {
	Server      Server       `mapstructure:"server" yaml:"server"`
	Health      Health       `mapstructure:"health" yaml:"health"`
	Store       Store        `mapstructure:"store" yaml:"store"`
	Instance    Instance     `mapstructure:"instance" yaml:"instance"`
	Socket      Socket       `mapstructure:"socket" yaml:"socket"`
	WebSocket   WebSocket    `mapstructure:"websocket" yaml:"websocket"`
	Auth        Auth         `mapstructure:"auth" yaml:"auth"`
	Contract    Contract     `mapstructure:"contract" yaml:"contract"`
	Log         Log          `mapstructure:"log" yaml:"log"`
	Monitor     Monitor      `mapstructure:"monitor" yaml:"monitor"`
	Workflow    Workflow     `mapstructure:"workflow" yaml:"workflow"`
	DataSources []DataSource `mapstructure:"dataSources" yaml:"dataSources"`
	Chat        Chat         `mapstructure:"chat" yaml:"chat"`
	Widgets     Widgets      `mapstructure:"widgets" yaml:"widgets"`
	History     History      `mapstructure:"history" yaml:"history"`
	Once        Once         `mapstructure:"once" yaml:"once"`
	Publish     Publish      `mapstructure:"publish" yaml:"publish"`
	Redis       Redis        `mapstructure:"redis" yaml:"redis"`
}

// Server is where the server listens and what it serves to whom.
type Server struct {
	Addr            []string      `mapstructure:"addr" yaml:"addr"`
	TLS             TLS           `mapstructure:"tls" yaml:"tls"`
	Data            string        `mapstructure:"data" yaml:"data"`
	AllowedOrigins  []string      `mapstructure:"allowedOrigins" yaml:"allowedOrigins"`
	AllowedHosts    []string      `mapstructure:"allowedHosts" yaml:"allowedHosts"`
	TrustedProxies  []string      `mapstructure:"trustedProxies" yaml:"trustedProxies"`
	MaxBody         Size          `mapstructure:"maxBody" yaml:"maxBody"`
	DrainDelay      time.Duration `mapstructure:"drainDelay" yaml:"drainDelay"`
	DrainWindow     time.Duration `mapstructure:"drainWindow" yaml:"drainWindow"`
	ShutdownTimeout time.Duration `mapstructure:"shutdownTimeout" yaml:"shutdownTimeout"`
}

// TLS is where the server listens with TLS.
type TLS struct {
	Addr     []string `mapstructure:"addr" yaml:"addr"`
	CertFile string   `mapstructure:"certFile" yaml:"certFile"`
	KeyFile  string   `mapstructure:"keyFile" yaml:"keyFile"`
}

// Health is what makes the server ready.
type Health struct {
	RequireBus bool   `mapstructure:"requireBus" yaml:"requireBus"`
	Canary     Canary `mapstructure:"canary" yaml:"canary"`
}

// Canary is how the server listens to itself.
type Canary struct {
	Limit time.Duration `mapstructure:"limit" yaml:"limit"`
}

// Socket is the Socket.IO endpoint.
type Socket struct {
	Path           string        `mapstructure:"path" yaml:"path"`
	Transports     []string      `mapstructure:"transports" yaml:"transports"`
	AllowEIO3      bool          `mapstructure:"allowEIO3" yaml:"allowEIO3"`
	Compression    bool          `mapstructure:"compression" yaml:"compression"`
	PingInterval   time.Duration `mapstructure:"pingInterval" yaml:"pingInterval"`
	PingTimeout    time.Duration `mapstructure:"pingTimeout" yaml:"pingTimeout"`
	UpgradeTimeout time.Duration `mapstructure:"upgradeTimeout" yaml:"upgradeTimeout"`
	ConnectTimeout time.Duration `mapstructure:"connectTimeout" yaml:"connectTimeout"`
	HandlerTimeout time.Duration `mapstructure:"handlerTimeout" yaml:"handlerTimeout"`
	MaxPayload     Size          `mapstructure:"maxPayload" yaml:"maxPayload"`
	SendLimit      Size          `mapstructure:"sendLimit" yaml:"sendLimit"`
	QueueLength    int           `mapstructure:"queueLength" yaml:"queueLength"`
	QueueBytes     Size          `mapstructure:"queueBytes" yaml:"queueBytes"`
	Recovery       Recovery      `mapstructure:"recovery" yaml:"recovery"`
}

// Recovery is what is kept for clients that lose their connection.
type Recovery struct {
	Window   time.Duration `mapstructure:"window" yaml:"window"`
	MaxBytes Size          `mapstructure:"maxBytes" yaml:"maxBytes"`
}

// Contract is what happens to messages that break the AsyncAPI document.
type Contract struct {
	Mode string `mapstructure:"mode" yaml:"mode"`
}

// Log is what is written to the standard error.
type Log struct {
	Level  string `mapstructure:"level" yaml:"level"`
	Format string `mapstructure:"format" yaml:"format"`
}

// Monitor is what administrators see.
type Monitor struct {
	Lines         int           `mapstructure:"lines" yaml:"lines"`
	StatsInterval time.Duration `mapstructure:"statsInterval" yaml:"statsInterval"`
}

// Widgets is who owns widgets.
type Widgets struct {
	AutoRegister bool `mapstructure:"autoRegister" yaml:"autoRegister"`
}

// History is what is kept of the publications of a room.
type History struct {
	Count int           `mapstructure:"count" yaml:"count"`
	Age   time.Duration `mapstructure:"age" yaml:"age"`
}

// Once is how long it is remembered what was asked for with an id.
type Once struct {
	Keep time.Duration `mapstructure:"keep" yaml:"keep"`
}

// Publish is what back ends may publish over HTTP.
type Publish struct {
	MaxBody  Size `mapstructure:"maxBody" yaml:"maxBody"`
	MaxBatch int  `mapstructure:"maxBatch" yaml:"maxBatch"`
}

// Default returns the configuration without file, environment and flags.
func Default() Config {
	return Config{
		Server: Server{
			Addr: []string{"127.0.0.1:3000"}, TLS: TLS{Addr: []string{}}, Data: "./data", AllowedOrigins: []string{}, AllowedHosts: []string{}, TrustedProxies: []string{},
			MaxBody: 1 << 20, DrainWindow: 5 * time.Second, ShutdownTimeout: 15 * time.Second,
		},
		Health: Health{Canary: Canary{Limit: 10 * time.Second}},
		Store: Store{
			Driver: SQLite, MaxConns: 16, MaxIdle: 4, MaxLifetime: time.Hour, ConnectTimeout: 5 * time.Second, Timeout: 10 * time.Second, Synchronous: "normal",
		},
		Instance: Instance{Heartbeat: 2 * time.Second, Expiry: 10 * time.Second},
		Socket: Socket{
			Path: "/socket.io/", Transports: []string{"polling", "websocket"}, AllowEIO3: true,
			PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second,
			UpgradeTimeout: 10 * time.Second, ConnectTimeout: 45 * time.Second, HandlerTimeout: 10 * time.Second,
			MaxPayload: 1_000_000, SendLimit: 1 << 20, QueueLength: 256, QueueBytes: 1 << 20,
			Recovery: Recovery{Window: 2 * time.Minute, MaxBytes: 32 << 20},
		},
		Auth: Auth{
			Issuers: []Issuer{}, APIKeys: []APIKey{}, Leeway: 30 * time.Second,
			ExpiryWarning: time.Minute, RevocationInterval: 5 * time.Second,
			JWKS:     JWKS{Refresh: 15 * time.Minute, MinRefresh: 10 * time.Second, Timeout: 5 * time.Second},
			Failures: Failures{Limit: 20, Window: time.Minute, MaxWait: time.Minute},
		},
		Contract:    Contract{Mode: "report"},
		Log:         Log{Level: "info", Format: "text"},
		Monitor:     Monitor{Lines: 1000, StatsInterval: 5 * time.Second},
		Workflow:    defaultWorkflow(),
		DataSources: []DataSource{},
		WebSocket:   defaultWebSocket(),
		Chat:        defaultChat(),
		Widgets:     Widgets{AutoRegister: true},
		History:     History{Count: 1000, Age: 24 * time.Hour},
		Once:        Once{Keep: 24 * time.Hour},
		Publish:     Publish{MaxBody: 8 << 20, MaxBatch: 1000},
		Redis:       defaultRedis(),
	}
}

// Size is a number of bytes, written as a number or with a unit: 1MiB, 8kB.
type Size int64

var units = []struct {
	name string
	size int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(b []byte) error {
	text, factor := strings.TrimSpace(string(b)), int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			text, factor = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not a size such as 65536, 64KiB or 1MB", b)
	}
	*s = Size(n * factor)
	return nil
}
