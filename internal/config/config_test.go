package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// The file that users copy from says what the program does without it.
func TestFileAtTheRootEqualsTheDefaults(t *testing.T) {
	const path = "../../config.yaml"
	got, err := Load(Source{File: path})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, Default()) {
		t.Errorf("config.yaml says\n%+v\nthe defaults are\n%+v", got, Default())
	}
	raw, _ := os.ReadFile(path)
	for key := range known() {
		name := key[strings.LastIndex(key, ".")+1:]
		if !strings.Contains(string(raw), name+":") {
			t.Errorf("config.yaml does not mention %s", key)
		}
	}
	bare, err := Load(Source{})
	if err != nil || !reflect.DeepEqual(bare, Default()) {
		t.Errorf("without a file: %+v %v", bare, err)
	}
	if problems := got.Check(); problems != nil {
		t.Errorf("the defaults have problems: %v", problems)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedence(t *testing.T) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.String("data", "from the flag's default", "")
	flags.StringSlice("addr", nil, "")
	flags.Parse([]string{"--addr", "flag:1,flag:2"})
	src := Source{
		File:  write(t, "server: {addr: ['file:1'], data: file}\nsocket: {pingInterval: 3s, maxPayload: 2MiB, queueLength: 7}\nauth:\n  issuers: [{name: i, audience: a, secret: s}]\n"),
		Env:   []string{"ROOMCAST_SERVER_ADDR=env:1", "ROOMCAST_SERVER_DATA=env", "ROOMCAST_SERVER_ALLOWEDORIGINS=https://a.example,https://b.example", "ROOMCAST_SOCKET_ALLOWEIO3=false", "HOME=/"},
		Flags: map[string]*pflag.Flag{"server.addr": flags.Lookup("addr"), "server.data": flags.Lookup("data")},
	}
	c, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Server.Addr = []string{"flag:1", "flag:2"}
	want.Server.Data = "env"
	want.Server.AllowedOrigins = []string{"https://a.example", "https://b.example"}
	want.Socket.PingInterval, want.Socket.MaxPayload, want.Socket.QueueLength, want.Socket.AllowEIO3 = 3*time.Second, 2<<20, 7, false
	want.Auth.Issuers = []Issuer{{Name: "i", Audience: "a", Secret: "s"}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got\n%+v\nwant\n%+v", c, want)
	}
}

func TestRefusals(t *testing.T) {
	for _, tt := range []struct{ file, env, want string }{
		{"server: {adr: x}", "", "c.yaml:1: unknown key server.adr, did you mean server.addr?"},
		{"sever: {}", "", "unknown key sever, did you mean server?"},
		{"log: {level: info}\nfoo: 1\nserver:\n  adr: 1", "", "c.yaml:2: unknown key foo, the keys here are auth, chat,"},
		{"log: {level: info}\nfoo: 1\nserver:\n  adr: 1", "", "c.yaml:4: unknown key server.adr"},
		{"server: 7", "", "server is a section, with the keys addr,"},
		{"chat: [1]", "", "chat is a section, with the keys assistant, busy, contextTokens, logPrompts, maxMessage, models, moderation, systemPrompt, timeout, tokensPerDay, turns, turnsPerTenant, waiting"},
		{"[1]", "", "is a section"},
		{"auth: {issuers: [{nam: x}]}", "", "unknown key auth.issuers[0].nam, did you mean name?"},
		{"auth: {issuers: [x]}", "", "auth.issuers[0] does not have the keys audience, defaultRole,"},
		{"auth: {issuers: {name: x}}", "", "auth.issuers is not a list"},
		{"socket: {pingInterval: soon}", "", `socket.pingInterval: "soon" is not a duration`},
		{"socket: {pingInterval: 25}", "", "socket.pingInterval: 25 has no unit, write 25s or 25ms"},
		{"socket: {pingInterval: [1]}", "", "socket.pingInterval is one value"},
		{"socket: {queueLength: many}", "", `socket.queueLength: "many" is not a whole number`},
		{"socket: {allowEIO3: maybe}", "", `"maybe" is not true or false`},
		{"socket: {maxPayload: 1XB}", "", `"1XB" is not a size`},
		{"server: {addr: {a: b}}", "", "server.addr is not a list"},
		{"server: [", "", "c.yaml"},
		{"", "ROOMCAST_SERVER_ADR=x", "unknown variable ROOMCAST_SERVER_ADR, did you mean ROOMCAST_SERVER_ADDR?"},
		{"", "ROOMCAST_AUTH_ISSUERS=x", "can only be set in a file"},
		{"", "ROOMCAST_AUTH_ISSUERS_0_SECRET=x", "ROOMCAST_AUTH_ISSUERS_0_SECRET: the file has no auth.issuers[0]"},
		{"", "ROOMCAST_SERVER_DATA_FILE=/no/such/file", "ROOMCAST_SERVER_DATA_FILE: open /no/such/file"},
		{"auth: {issuers: [{name: i, secret: a, secretFile: b}]}", "", "auth.issuers[0].secret and secretFile are both set"},
		{"redis: {password: a, passwordFile: b}", "", "redis.password and passwordFile are both set"},
		{"redis: {sentinelPasswordFile: /no/such/file}", "", "redis.sentinelPasswordFile: open /no/such/file"},
		{"auth: {issuers: [{name: i, nextSecretFile: /no/such/file}]}", "", "auth.issuers[0].nextSecretFile: open /no/such/file"},
		{"auth: {issuers: [{name: i, publicKeyFiles: [/no/such/file]}]}", "", "auth.issuers[0].publicKeyFiles: open /no/such/file"},
		{"store: {url: 'postgres://h/d', urlFile: x}", "", "store.url and urlFile are both set"},
		{"dataSources: [{nam: x}]", "", "unknown key dataSources[0].nam, did you mean name?"},
		{"dataSources: [{queries: [{params: [{nme: x}]}]}]", "", "unknown key dataSources[0].queries[0].params[0].nme, did you mean name?"},
		{"dataSources: [{queries: {id: x}}]", "", "dataSources[0].queries is not a list"},
		{"dataSources: [{headersFile: /no/such/file}]", "", "dataSources[0].headersFile: open /no/such/file"},
		{"dataSources: [{url: a, urlFile: b}]", "", "dataSources[0].url and urlFile are both set"},
		{"", "ROOMCAST_DATASOURCES=x", "can only be set in a file"},
		{"store: {urlFile: /no/such/file}", "", "store.urlFile: open /no/such/file"},
		{"", "ROOMCAST_CHAT_WAITING=x", `ROOMCAST_CHAT_WAITING: "x" is not a whole number`},
	} {
		_, err := Load(Source{File: write(t, tt.file), Env: []string{tt.env}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: %v, want %q", tt.file, tt.env, err, tt.want)
		}
	}
	// What is not ours is left alone.
	if _, err := Load(Source{Env: []string{"ROOMCAST_PORT=tcp://10.0.0.1:80", "ROOMCAST_SERVICE_HOST=10.0.0.1"}, File: write(t, "server:\n")}); err != nil {
		t.Error(err)
	}
	if _, err := Load(Source{File: "/no/such/file"}); err == nil {
		t.Error("a missing file was accepted")
	}
}

func TestCheck(t *testing.T) {
	c := Default()
	c.Server.Addr = []string{"nowhere"}
	c.Server.AllowedOrigins = []string{"app.example.com"}
	c.Socket.Transports = []string{"pigeon"}
	c.Socket.Path = "socket.io"
	c.Socket.PingTimeout = 0
	c.Contract.Mode = "strict"
	c.Chat.Waiting = -1
	c.Auth.Issuers = []Issuer{{Name: "i", Audience: "a", Secret: "short", NextSecret: "brief"}, {}, {Name: "x"}}
	c.Server.TrustedProxies = []string{"10.0.0.0/8", "::1", "proxy"}
	c.Auth.Failures.Limit = 0
	c.Store.Driver, c.Store.MaxConns, c.Store.MaxIdle, c.Store.Timeout, c.Store.Synchronous = "oracle", 1, 4, 0, "off"
	c.Instance.Heartbeat = 4 * time.Second
	c.Server.DrainDelay, c.Health.Canary.Limit = 5*time.Second, -1
	c.Redis.Adapter, c.Redis.Timeout, c.Redis.Stream.Count = "pigeon", 0, 0
	c.Workflow.JavaScript = JavaScript{MaxMemory: 1 << 20}
	got := strings.Join(c.Check(), "\n")
	for _, want := range []string{
		`server.addr: "nowhere" is not host:port`, `server.allowedOrigins: "app.example.com"`, `socket.transports: "pigeon"`,
		"socket.path:", "socket.pingTimeout: 0s", "contract.mode:", "chat.waiting: -1",
		"auth.issuers[0].secret: has 5 bytes", "auth.issuers[0].nextSecret: has 5 bytes", "auth.failures.limit: 0 is not",
		`server.trustedProxies: "proxy" is not an address`, "auth.issuers[1].name: is missing", "auth.issuers[2].audience: is missing",
		`store.driver: "oracle" is not one of sqlite, postgres`, "store.maxConns: 1 is too few", "store.maxIdle: 4 is not between 1 and store.maxConns",
		"store.timeout: 0s", `store.synchronous: "off" is not one of normal, full`, "server.shutdownTimeout: 15s is less than twice", "health.canary.limit: -1ns is negative", "instance.expiry: 10s is less than three times",
		`redis.adapter: "pigeon" is not one of none, classic, sharded, streams`, "redis.timeout: 0s", "redis.stream.count: 0 is not", "redis.addrs: is empty",
		"workflow.javascript.maxTime: 0s", "workflow.javascript.parallel: 0 is not", "workflow.javascript.maxMemory: 1048576 is not between 8MiB",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no problem says %q in\n%s", want, got)
		}
	}
	c = Default()
	c.Store.Driver = Postgres
	if got := strings.Join(c.Check(), "\n"); !strings.HasPrefix(got, "store.url: is missing") {
		t.Error(got)
	}
	c.Store.Driver, c.Store.URL = SQLite, "postgres://h/d"
	if got := strings.Join(c.Check(), "\n"); !strings.HasPrefix(got, "store.url: is for PostgreSQL") {
		t.Error(got)
	}
}

func TestCheckTLS(t *testing.T) {
	for want, tls := range map[string]TLS{
		"":                              {Addr: []string{":443"}, CertFile: "c", KeyFile: "k"},
		"server.tls.addr: is empty":     {CertFile: "c", KeyFile: "k"},
		"server.tls.certFile and serve": {Addr: []string{":443"}, CertFile: "c"},
	} {
		c := Default()
		c.Server.TLS = tls
		if got := strings.Join(c.Check(), "\n"); !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("%q: %s", want, got)
		}
	}
}

func TestCheckRedis(t *testing.T) {
	for want, change := range map[string]func(*Redis){
		"":                                  func(r *Redis) {},
		" ":                                 func(r *Redis) { r.Addrs, r.URL = nil, "unix:///run/redis.sock" },
		"redis.addrs: is empty":             func(r *Redis) { r.Addrs = nil },
		`redis.addrs: "x" is not host:port`: func(r *Redis) { r.Addrs = []string{"x"} },
		"redis.addrs: several":              func(r *Redis) { r.Addrs = []string{"a:1", "b:1"} },
		"redis.url: redis.addrs is set too": func(r *Redis) { r.URL = "redis://x" },
		"redis.url: is not redis://":        func(r *Redis) { r.Addrs, r.URL = nil, "http://:hush@x" },
		"redis.master: a Redis Cluster has": func(r *Redis) { r.Master, r.Cluster = "m", true },
		"redis.master: goes with":           func(r *Redis) { r.Master, r.URL, r.Addrs = "m", "redis://x", nil },
		"redis.db: 1 is":                    func(r *Redis) { r.Cluster, r.DB = true, 1 },
		"redis.tls.cert: cert and key":      func(r *Redis) { r.TLS.Enabled, r.TLS.Key = true, "k" },
		"redis.tls.enabled: is false":       func(r *Redis) { r.TLS.ServerName = "x" },
		`redis.prefix: "a#b"`:               func(r *Redis) { r.Prefix = "a#b" },
		`redis.stream.name: ""`:             func(r *Redis) { r.Stream.Name = "" },
	} {
		c := Default()
		c.Redis.Adapter, c.Redis.Addrs = "streams", []string{"127.0.0.1:6379"}
		change(&c.Redis)
		got := strings.Join(c.Check(), "\n")
		if want = strings.TrimSpace(want); (want == "") != (got == "") || !strings.Contains(got, want) || strings.Contains(got, "hush") {
			t.Errorf("%q: %s", want, got)
		}
	}
}

// Orchestrators mount secrets as files.
func TestSecretsFromFiles(t *testing.T) {
	file := write(t, "from a file\n")
	c, err := Load(Source{
		File: write(t, "auth: {issuers: [{name: i, secretFile: "+file+", publicKeyFiles: ["+file+"]}, {name: j}, {name: k}]}"),
		Env: []string{
			"ROOMCAST_STORE_URL_FILE=" + file, "ROOMCAST_AUTH_ISSUERS_1_SECRET_FILE=" + file, "ROOMCAST_AUTH_ISSUERS_2_NEXTSECRET=here", "ROOMCAST_SERVER_DATA_FILE=" + file,
			"ROOMCAST_REDIS_PASSWORD_FILE=" + file, "ROOMCAST_REDIS_SENTINELPASSWORDFILE=" + file, "ROOMCAST_REDIS_URL=redis://:here@x",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	i := c.Auth.Issuers
	if i[0].Secret != "from a file" || i[0].PublicKeys[0] != "from a file" || i[1].Secret != "from a file" || i[2].NextSecret != "here" || c.Store.URL != "from a file" || c.Server.Data != "from a file" ||
		c.Redis.Password != "from a file" || c.Redis.SentinelPassword != "from a file" || c.Redis.URL != "redis://:here@x" {
		t.Errorf("%+v", c)
	}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c.Auth.Issuers)} {
		if strings.Contains(text, "here") {
			t.Errorf("a secret was printed: %s", text)
		}
	}
}

func TestDataSources(t *testing.T) {
	file := write(t, "Authorization: Bearer here\n\nX-Key:here\n")
	c, err := Load(Source{
		File: write(t, `
dataSources:
  - {name: shop, driver: postgres, urlFile: `+write(t, "postgres://here\n")+`, maxBytes: 2MiB, timeout: 3s, queries: [{id: ordersOf, sql: SELECT @a, params: [{name: a, type: number, default: 5}]}]}
  - {name: crm, driver: rest, headersFile: `+file+`, headers: [{name: X-Own, value: here}], queries: [{id: q, path: /a, query: [{name: camelCase, value: "@a"}], body: '{"camelCase": 1}'}]}
`),
		Env: []string{"ROOMCAST_DATASOURCES_1_URL=https://here"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []DataSource{
		{Name: "shop", Driver: "postgres", URL: "postgres://here", URLFile: c.DataSources[0].URLFile, MaxBytes: 2 << 20, Timeout: 3 * time.Second, Queries: []DataQuery{
			{ID: "ordersOf", SQL: "SELECT @a", Params: []DataParam{{Name: "a", Type: "number", Default: 5}}},
		}},
		{Name: "crm", Driver: "rest", URL: "https://here", HeadersFile: file, Headers: []DataHeader{{"X-Own", "here"}, {"Authorization", "Bearer here"}, {"X-Key", "here"}}, Queries: []DataQuery{
			{ID: "q", Path: "/a", Query: []DataField{{"camelCase", "@a"}}, Body: `{"camelCase": 1}`},
		}},
	}
	if !reflect.DeepEqual(c.DataSources, want) {
		t.Errorf("got\n%#v\nwant\n%#v", c.DataSources, want)
	}
	if text := fmt.Sprintf("%+v %#v", c, c.DataSources); strings.Contains(text, "here") {
		t.Errorf("a secret was printed: %s", text)
	}
	if _, err := Load(Source{File: write(t, "dataSources: [{headersFile: "+write(t, "no colon here")+"}]")}); err == nil || !strings.Contains(err.Error(), "headersFile: line 1 of") {
		t.Error(err)
	}
}

func TestWeakSecrets(t *testing.T) {
	for secret, want := range map[string]string{
		"":                                 "",
		"0123456789abcdef0123456789abcdef": "repeats itself",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": "only 1 different",
		"My-Super-Secret-Key-For-Tokens-1": "the word \"secret\"",
		"b1946ac92492d2347c6235b4d2611184": "",
	} {
		c := Default()
		c.Auth.Issuers = []Issuer{{Secret: "b1946ac92492d2347c6235b4d2611184", NextSecret: Secret(secret)}}
		got := strings.Join(c.Warnings(), "\n")
		if (want == "") != (got == "") || !strings.Contains(got, want) || strings.Contains(got, "[0].secret") {
			t.Errorf("%s: %q, want %q", secret, got, want)
		}
	}
}

func TestWarningOfRowsThatAreNotShared(t *testing.T) {
	c := Default()
	c.Redis.Adapter, c.Redis.URL = "streams", "redis://h"
	if got := c.Warnings(); len(got) != 1 || !strings.HasPrefix(got[0], "store.driver: ") {
		t.Errorf("%q", got)
	}
	c.Store.Driver = Postgres
	if got := c.Warnings(); got != nil {
		t.Errorf("%q", got)
	}
}

func TestSecretsThatMayBeGuessed(t *testing.T) {
	for secret, want := range map[string]bool{
		"12345678901234567890123456789012": true, "abcdefghijklmnopqrstuvwxyz012345": true, "0123456789abcdef0123456789abcdef0": true,
		"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08": false, "": false,
	} {
		if got := weak(secret) != ""; got != want {
			t.Errorf("%q: weak is %v", secret, got)
		}
	}
}

func TestEmptySecretFile(t *testing.T) {
	dir := t.TempDir()
	next := filepath.Join(dir, "next")
	if err := os.WriteFile(next, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := Auth{Issuers: []Issuer{{Name: "i", NextSecretFile: next}}}
	if err := a.readFiles(); err == nil || !strings.Contains(err.Error(), "nextSecretFile") {
		t.Errorf("an empty file: %v", err)
	}
}
