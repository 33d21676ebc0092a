package config

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Redis is how instances reach each other.
type Redis struct {
	Adapter              string        `mapstructure:"adapter" yaml:"adapter"`
	URL                  Secret        `mapstructure:"url" yaml:"url"`
	Addrs                []string      `mapstructure:"addrs" yaml:"addrs"`
	Master               string        `mapstructure:"master" yaml:"master"`
	Cluster              bool          `mapstructure:"cluster" yaml:"cluster"`
	Username             string        `mapstructure:"username" yaml:"username"`
	Password             Secret        `mapstructure:"password" yaml:"password"`
	PasswordFile         string        `mapstructure:"passwordFile" yaml:"passwordFile"`
	SentinelUsername     string        `mapstructure:"sentinelUsername" yaml:"sentinelUsername"`
	SentinelPassword     Secret        `mapstructure:"sentinelPassword" yaml:"sentinelPassword"`
	SentinelPasswordFile string        `mapstructure:"sentinelPasswordFile" yaml:"sentinelPasswordFile"`
	DB                   int           `mapstructure:"db" yaml:"db"`
	TLS                  RedisTLS      `mapstructure:"tls" yaml:"tls"`
	Prefix               string        `mapstructure:"prefix" yaml:"prefix"`
	Stream               RedisStream   `mapstructure:"stream" yaml:"stream"`
	Timeout              time.Duration `mapstructure:"timeout" yaml:"timeout"`
	DialTimeout          time.Duration `mapstructure:"dialTimeout" yaml:"dialTimeout"`
	MaxWait              time.Duration `mapstructure:"maxWait" yaml:"maxWait"`
	QueueLength          int           `mapstructure:"queueLength" yaml:"queueLength"`
	QueueBytes           Size          `mapstructure:"queueBytes" yaml:"queueBytes"`
}

// RedisTLS is how connections to Redis are secured.
type RedisTLS struct {
	Enabled    bool   `mapstructure:"enabled" yaml:"enabled"`
	CA         string `mapstructure:"ca" yaml:"ca"`
	Cert       string `mapstructure:"cert" yaml:"cert"`
	Key        string `mapstructure:"key" yaml:"key"`
	ServerName string `mapstructure:"serverName" yaml:"serverName"`
}

// RedisStream is where the adapter "streams" keeps messages.
type RedisStream struct {
	Name   string `mapstructure:"name" yaml:"name"`
	MaxLen int    `mapstructure:"maxLen" yaml:"maxLen"`
	Count  int    `mapstructure:"count" yaml:"count"`
}

func defaultRedis() Redis {
	return Redis{
		Adapter: "none", Addrs: []string{}, Prefix: "socket.io",
		Stream:  RedisStream{Name: "socket.io", MaxLen: 10000, Count: 1},
		Timeout: 3 * time.Second, DialTimeout: 5 * time.Second, MaxWait: 5 * time.Second,
		QueueLength: 10000, QueueBytes: 64 << 20,
	}
}

// Enabled reports whether there is to be a bus over Redis.
func (r Redis) Enabled() bool { return r.Adapter != "none" }

func (r Redis) check(add func(key, format string, args ...any)) {
	switch n := len(r.Addrs); {
	case r.URL != "" && n > 0:
		add("redis.url", "redis.addrs is set too: keep one")
	case r.Enabled() && r.URL == "" && n == 0:
		add("redis.addrs", "is empty: redis.adapter is %s, so name the server, or set redis.url", r.Adapter)
	case r.Master != "" && r.Cluster:
		add("redis.master", "a Redis Cluster has no Sentinels: set redis.master or redis.cluster")
	case r.Master != "" && r.URL != "":
		add("redis.master", "goes with the addresses of the Sentinels in redis.addrs, not with redis.url")
	case n > 1 && r.Master == "" && !r.Cluster:
		add("redis.addrs", "several addresses are Sentinels or nodes of a Redis Cluster: set redis.master or redis.cluster")
	}
	for _, a := range r.Addrs {
		if _, _, err := net.SplitHostPort(a); err != nil {
			add("redis.addrs", "%q is not host:port", a)
		}
	}
	// What is wrong with it is not said: it may hold a password.
	if u, err := url.Parse(string(r.URL)); r.URL != "" && (err != nil || !slices.Contains([]string{"redis", "rediss", "unix"}, u.Scheme)) {
		add("redis.url", "is not redis://user:password@host:port/db, rediss:// or unix://")
	}
	if r.Cluster && r.DB != 0 || r.DB < 0 {
		add("redis.db", "%d is not a database: they count from 0, and a Redis Cluster has only that one", r.DB)
	}
	if (r.TLS.Cert == "") != (r.TLS.Key == "") {
		add("redis.tls.cert", "cert and key go together")
	}
	if t := r.TLS; !t.Enabled && (t.CA != "" || t.Cert != "" || t.Key != "" || t.ServerName != "") {
		add("redis.tls.enabled", "is false, but other settings of redis.tls are given")
	}
	for key, s := range map[string]string{"redis.prefix": r.Prefix, "redis.stream.name": r.Stream.Name} {
		if s == "" || strings.ContainsAny(s, "#*?[]{} ") {
			add(key, "%q is empty or has one of # * ? [ ] { } or a space", s)
		}
	}
}

// readFiles reads what the keys that end with File name.
func (r *Redis) readFiles() error {
	return readSecrets("redis.", []secretFile{
		{"password", r.PasswordFile, &r.Password},
		{"sentinelPassword", r.SentinelPasswordFile, &r.SentinelPassword},
	})
}
