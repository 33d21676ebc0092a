package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/config"
)

// run runs the program and returns what it printed and its error. The folder
// is empty, so no config.yaml is found.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	var out bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestServeRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	os.WriteFile(file, []byte("socket: {path: x}\nchat: {waiting: 0}\n"), 0o600)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"serve"}, "set auth.issuers or auth.apiKeys"},
		{[]string{"serve", "--dev", "--addr", "0.0.0.0:0"}, "0.0.0.0:0 can be reached by others"},
		{[]string{"serve", "--dev", "--addr", ":0"}, "can be reached by others"},
		{[]string{"serve", "--dev", "--addr", "127.0.0.1:0", "--addr", "192.0.2.1:80"}, "192.0.2.1:80 can be reached by others"},
		{[]string{"serve", "--dev", "--addr", "nowhere"}, `"nowhere" is not host:port`},
		{[]string{"serve", "--dev", "--config", file}, "chat.waiting: 0 is not a positive number"},
		{[]string{"serve", "--config", "/no/such.yaml"}, "no such file"},
		{[]string{"serve", "--dev", "--data", "/dev/null/x"}, "dev/null"},
		{[]string{"serve", "extra"}, "unknown command"},
		{[]string{"serv"}, "unknown command"},
		{[]string{"config", "chek"}, `unknown command "chek" for "roomcast config", did you mean "check"?`},
		{[]string{"token", "neww"}, `did you mean "new"?`},
	} {
		out, err := run(t, tt.args...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v %s", tt.args, err, out)
		}
	}
}

// lines is an output that tells when something has been written.
type lines struct {
	mu      sync.Mutex
	b       bytes.Buffer
	written chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.b.Write(p)
	select {
	case l.written <- struct{}{}:
	default:
	}
	return n, err
}

func TestServeInDevelopment(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	out := &lines{written: make(chan struct{}, 1)}
	cmd := root()
	cmd.SetArgs([]string{"serve", "--dev", "--json", "--addr", "127.0.0.1:0"})
	cmd.SetOut(out)
	cmd.SetErr(&bytes.Buffer{})
	done := make(chan error)
	begun := time.Now()
	go func() { done <- cmd.ExecuteContext(ctx) }()
	<-out.written
	var a announcement
	if err := json.Unmarshal(out.b.Bytes(), &a); err != nil {
		t.Fatalf("%v in %s", err, &out.b)
	}
	for {
		res, err := http.Get(a.URLs["ready"])
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			break
		}
	}
	if took := time.Since(begun); took > 5*time.Second { // under the race detector; the binary takes a tenth
		t.Errorf("ready after %v", took)
	}
	for name, path := range map[string]string{"home": "/", "asyncapi": "/asyncapi.yaml", "client": "/socket.io/socket.io.js", "live": "/health/live"} {
		if a.URLs[name] != a.URL+path {
			t.Errorf("%s is %s", name, a.URLs[name])
		}
		if res, err := http.Get(a.URLs[name]); err != nil || res.StatusCode != 200 {
			t.Errorf("%s: %v %v", name, res, err)
		}
	}
	if a.Tokens == nil || a.Tenant != app.DevTenant {
		t.Errorf("%+v", a)
	}
	if info, err := os.Stat("data/dev-secret"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret: %v %v", info, err)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	// Tokens can be made afterwards too, with the same secret.
	var token bytes.Buffer
	cmd = root()
	cmd.SetArgs([]string{"token", "new", "--user", "ada"})
	cmd.SetOut(&token)
	if err := cmd.Execute(); err != nil || strings.Count(token.String(), ".") != 2 {
		t.Errorf("%v %s", err, &token)
	}
}

// Two servers on one data folder would take each other's runs for interrupted.
func TestDataFolderIsLocked(t *testing.T) {
	c := config.Default()
	c.Server.Addr, c.Server.Data = []string{"127.0.0.1:0"}, t.TempDir()
	first, err := app.New(t.Context(), app.Options{Config: c, Dev: true, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.New(t.Context(), app.Options{Config: c, Dev: true, Log: io.Discard}); err == nil || !strings.Contains(err.Error(), "is in use by another server (process "+strconv.Itoa(os.Getpid())+")") {
		t.Errorf("a second server: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := first.Run(ctx); err != nil {
		t.Error(err)
	}
	again, err := app.New(t.Context(), app.Options{Config: c, Dev: true, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	again.Run(ctx)
}

func TestAnnouncementForPeople(t *testing.T) {
	var out bytes.Buffer
	serveOptions{dev: true}.print(&out, announcement{
		Addresses: []string{"127.0.0.1:3000", "127.0.0.1:3443"}, TLS: []string{"127.0.0.1:3443"}, Tokens: &app.DevTokens{Member: "M", Admin: "A"}, Tenant: "default",
		URLs: map[string]string{"home": "http://127.0.0.1:3000/", "ws": "ws://127.0.0.1:3000/ws"},
	})
	for _, want := range []string{"listening on 127.0.0.1:3000, 127.0.0.1:3443; with TLS on 127.0.0.1:3443", " ws://127.0.0.1:3000/ws\n", "Member  M", "Admin   A", "http://127.0.0.1:3000/#token=A"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}

func TestConfigCheck(t *testing.T) {
	dir := t.TempDir()
	good, bad, odd := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml"), filepath.Join(dir, "odd.yaml")
	os.WriteFile(good, []byte("auth:\n  issuers: [{name: i, audience: a, secret: 0123456789abcdef0123456789abcdef}]\n"), 0o600)
	os.WriteFile(bad, []byte("log: {level: loud}\nauth:\n  issuers: [{name: i, audience: a, secret: short}]\n"), 0o600)
	os.WriteFile(odd, []byte("lgo: {}\n"), 0o600)
	twice, key := filepath.Join(dir, "twice.yaml"), filepath.Join(dir, "key.yaml")
	issuer := "{name: i, audience: a, secret: 0123456789abcdef0123456789abcdef}"
	os.WriteFile(twice, []byte("auth:\n  issuers: ["+issuer+", "+issuer+"]\n"), 0o600)
	os.WriteFile(key, []byte("auth:\n  apiKeys: [{name: ci, prefix: abc, sha256: zz, user: u, tenant: t, role: BOSS}]\n"), 0o600)
	for _, tt := range []struct {
		file, want string
		fails      bool
	}{
		{good, "the configuration is fine", false},
		{good, "warning: auth.issuers[0].secret: repeats itself", false},
		{bad, `log.level: "loud" is not one of`, true},
		{bad, "auth.issuers[0].secret: has 5 bytes", true},
		{odd, "", true},
		{twice, "two issuers are called i", true},
		{key, "API key ci needs a prefix of 8 characters", true},
	} {
		out, err := run(t, "config", "check", "--config", tt.file)
		if (err != nil) != tt.fails || !strings.Contains(out, tt.want) {
			t.Errorf("%s: %v\n%s", tt.file, err, out)
		}
	}
	if out, err := run(t, "config", "check"); err != nil || !strings.Contains(out, "needs --dev or") {
		t.Errorf("%v %s", err, out)
	}
}

func TestTokenNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--user", "ada"}, "there is no secret to sign with"},
		{[]string{"--user", "ada", "--role", "king"}, "not one of member, admin, publisher"},
		{[]string{"--user", "ada", "--tenant", ""}, "--tenant is empty"},
		{[]string{"--user", "ada", "--ttl", "-1s"}, "not a positive duration"},
		{nil, `"user" not set`},
	} {
		if _, err := run(t, append([]string{"token", "new"}, tt.args...)...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v", tt.args, err)
		}
	}
}
