package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Check reports everything that is wrong with the values of a configuration,
// each line naming the setting and what to do.
func (c Config) Check() (problems []string) {
	add := func(key, format string, args ...any) {
		problems = append(problems, key+": "+fmt.Sprintf(format, args...))
	}
	if len(c.Server.Addr)+len(c.Server.TLS.Addr) == 0 {
		add("server.addr", "is empty: give at least one address, such as 127.0.0.1:3000, there or in server.tls.addr")
	}
	for key, addrs := range map[string][]string{"server.addr": c.Server.Addr, "server.tls.addr": c.Server.TLS.Addr} {
		for _, a := range addrs {
			if _, _, err := net.SplitHostPort(a); err != nil {
				add(key, "%q is not host:port", a)
			}
		}
	}
	if t := c.Server.TLS; len(t.Addr) > 0 && (t.CertFile == "" || t.KeyFile == "") {
		add("server.tls.certFile and server.tls.keyFile", "are empty: name the files of the certificate and its key, which server.tls.addr needs")
	}
	if t := c.Server.TLS; len(t.Addr) == 0 && t.CertFile+t.KeyFile != "" {
		add("server.tls.addr", "is empty: say where TLS is spoken, such as 0.0.0.0:443, or leave certFile and keyFile out")
	}
	if c.Server.Data == "" {
		add("server.data", "is empty: name a folder")
	}
	for _, o := range c.Server.AllowedOrigins {
		if o != "*" && o != "null" && !strings.Contains(o, "://") {
			add("server.allowedOrigins", "%q is not an origin such as https://app.example.com", o)
		}
	}
	for _, p := range c.Server.TrustedProxies {
		if _, err := netip.ParsePrefix(p); err != nil {
			if _, err := netip.ParseAddr(p); err != nil {
				add("server.trustedProxies", "%q is not an address such as 10.0.0.1 or a range such as 10.0.0.0/8", p)
			}
		}
	}
	if !strings.HasPrefix(c.Socket.Path, "/") || !strings.HasSuffix(c.Socket.Path, "/") {
		add("socket.path", "%q does not begin and end with a slash", c.Socket.Path)
	}
	if len(c.Socket.Transports) == 0 {
		add("socket.transports", "is empty: allow polling, websocket or both")
	}
	for _, t := range c.Socket.Transports {
		if t != "polling" && t != "websocket" {
			add("socket.transports", "%q is not one of polling, websocket", t)
		}
	}
	for key, d := range map[string]time.Duration{
		"server.shutdownTimeout": c.Server.ShutdownTimeout, "socket.pingInterval": c.Socket.PingInterval,
		"socket.pingTimeout": c.Socket.PingTimeout, "socket.upgradeTimeout": c.Socket.UpgradeTimeout,
		"socket.connectTimeout": c.Socket.ConnectTimeout, "socket.handlerTimeout": c.Socket.HandlerTimeout,
		"monitor.statsInterval": c.Monitor.StatsInterval, "chat.timeout": c.Chat.Timeout, "chat.moderation.timeout": c.Chat.Moderation.Timeout, "workflow.http.maxTimeout": c.Workflow.HTTP.MaxTimeout,
		"auth.expiryWarning": c.Auth.ExpiryWarning, "auth.revocationInterval": c.Auth.RevocationInterval,
		"auth.jwks.refresh": c.Auth.JWKS.Refresh, "auth.jwks.minRefresh": c.Auth.JWKS.MinRefresh, "auth.jwks.timeout": c.Auth.JWKS.Timeout,
		"store.maxLifetime": c.Store.MaxLifetime, "store.connectTimeout": c.Store.ConnectTimeout, "store.timeout": c.Store.Timeout,
		"instance.heartbeat": c.Instance.Heartbeat, "instance.expiry": c.Instance.Expiry,
		"history.age": c.History.Age, "once.keep": c.Once.Keep,
		"auth.failures.window": c.Auth.Failures.Window, "auth.failures.maxWait": c.Auth.Failures.MaxWait,
		"redis.timeout": c.Redis.Timeout, "redis.dialTimeout": c.Redis.DialTimeout, "redis.maxWait": c.Redis.MaxWait,
	} {
		if d <= 0 {
			add(key, "%v is not a positive duration", d)
		}
	}
	if d := c.Server.DrainDelay + c.Server.DrainWindow; c.Server.DrainDelay < 0 || c.Server.DrainWindow < 0 {
		add("server.drainDelay and server.drainWindow", "are negative: 0s is none")
	} else if d > c.Server.ShutdownTimeout/2 {
		add("server.shutdownTimeout", "%v is less than twice server.drainDelay and server.drainWindow together, %v: what is under way needs time too", c.Server.ShutdownTimeout, d)
	}
	if c.Health.Canary.Limit < 0 {
		add("health.canary.limit", "%v is negative: 0s is off", c.Health.Canary.Limit)
	}
	if c.Socket.Recovery.Window < 0 {
		add("socket.recovery.window", "%v is negative: 0s is off", c.Socket.Recovery.Window)
	}
	for key, n := range map[string]int64{
		"socket.recovery.maxBytes": int64(c.Socket.Recovery.MaxBytes),
		"server.maxBody":           int64(c.Server.MaxBody), "socket.maxPayload": int64(c.Socket.MaxPayload),
		"socket.sendLimit": int64(c.Socket.SendLimit), "socket.queueLength": int64(c.Socket.QueueLength),
		"socket.queueBytes": int64(c.Socket.QueueBytes), "monitor.lines": int64(c.Monitor.Lines),
		"chat.contextTokens": int64(c.Chat.ContextTokens), "chat.waiting": int64(c.Chat.Waiting), "chat.turns": int64(c.Chat.Turns), "chat.turnsPerTenant": int64(c.Chat.TurnsPerTenant), "chat.maxMessage": int64(c.Chat.MaxMessage),
		"history.count": int64(c.History.Count), "publish.maxBody": int64(c.Publish.MaxBody), "publish.maxBatch": int64(c.Publish.MaxBatch),
		"auth.failures.limit": int64(c.Auth.Failures.Limit), "redis.queueLength": int64(c.Redis.QueueLength),
		"redis.queueBytes": int64(c.Redis.QueueBytes), "redis.stream.maxLen": int64(c.Redis.Stream.MaxLen), "redis.stream.count": int64(c.Redis.Stream.Count),
	} {
		if n <= 0 {
			add(key, "%d is not a positive number", n)
		}
	}
	for key, choice := range map[string]struct {
		value   string
		allowed []string
	}{
		"store.driver":      {c.Store.Driver, []string{SQLite, Postgres}},
		"store.synchronous": {c.Store.Synchronous, []string{"normal", "full"}},
		"contract.mode":     {c.Contract.Mode, []string{"off", "report", "enforce"}},
		"chat.assistant":    {c.Chat.Assistant, []string{Auto, Builtin, Agent}},
		"chat.busy":         {c.Chat.Busy, []string{Queue, Refuse}},
		"log.level":         {c.Log.Level, []string{"debug", "info", "warn", "error"}},
		"log.format":        {c.Log.Format, []string{"text", "json"}},
		"redis.adapter":     {c.Redis.Adapter, []string{"none", "classic", "sharded", "streams"}},
		"workflow.engine":   {c.Workflow.Engine, []string{EngineEmbedded, EngineTemporal}},

		"chat.moderation.onError": {c.Chat.Moderation.OnError, []string{Allow, Refuse}},
	} {
		if !slices.Contains(choice.allowed, choice.value) {
			add(key, "%q is not one of %s", choice.value, strings.Join(choice.allowed, ", "))
		}
	}
	c.Redis.check(add)
	c.Workflow.check(add)
	slices.Sort(problems)
	problems = append(problems, c.Store.check()...)
	problems = append(problems, c.Instance.check()...)
	problems = append(problems, c.WebSocket.check(c.Store.Driver != SQLite)...)
	problems = append(problems, c.Chat.check()...)
	return append(problems, c.Auth.check()...)
}

func (a Auth) check() (problems []string) {
	if a.Leeway < 0 {
		problems = append(problems, fmt.Sprintf("auth.leeway: %v is negative", a.Leeway))
	}
	for i, issuer := range a.Issuers {
		at := fmt.Sprintf("auth.issuers[%d]", i)
		switch {
		case issuer.Firebase != "":
		case issuer.Name == "":
			problems = append(problems, at+".name: is missing: it is the iss of the tokens")
		case issuer.Audience == "":
			problems = append(problems, at+".audience: is missing: it is the aud of the tokens")
		}
		if n := len(issuer.Secret); n > 0 && n < 32 {
			problems = append(problems, at+fmt.Sprintf(".secret: has %d bytes, at least 32 are needed", n))
		}
		if n := len(issuer.NextSecret); n > 0 && n < 32 {
			problems = append(problems, at+fmt.Sprintf(".nextSecret: has %d bytes, at least 32 are needed", n))
		}
	}
	return problems
}
