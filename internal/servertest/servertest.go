// Package servertest runs the whole server on a free port, for tests.
package servertest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/store/sqlite/sqlitetest"
)

// A Server is a running server. It is stopped when its test ends.
type Server struct {
	App  *app.App
	URL  string // http://127.0.0.1:port
	Data string
	Log  *Log

	t      testing.TB
	issuer auth.Issuer
	stop   func() error
}

// Options change what is started.
type Options struct {
	// Data is the data folder; one of the test's own unless set.
	Data string
	// Change may change the configuration.
	Change func(*config.Config)
	// Bus connects it to other servers; nil is alone.
	Bus cluster.Bus
}

// Start starts a server in development mode.
func Start(t testing.TB, opts Options) *Server {
	t.Helper()
	c := config.Default()
	c.Server.Addr = []string{"127.0.0.1:0"}
	c.Server.Data = opts.Data
	if c.Server.Data == "" {
		c.Server.Data = t.TempDir()
	}
	if opts.Change != nil {
		opts.Change(&c)
	}
	if opts.Data == "" && c.Store.Driver == config.SQLite {
		sqlitetest.Make(t, filepath.Join(c.Server.Data, app.DatabaseFile))
	}
	s := &Server{Data: c.Server.Data, Log: &Log{}, t: t}
	var err error
	if s.App, err = app.New(t.Context(), app.Options{Config: c, Dev: true, Log: s.Log, Bus: opts.Bus}); err != nil {
		t.Fatal(err)
	}
	s.URL = "http://" + s.App.Addrs()[0]
	if s.issuer, err = app.DevIssuer(s.Data); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.App.Run(ctx) }()
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stopping the server: %v\n%s", err, s.Log)
		}
	})
	return s
}

// Stop stops the server and returns what Run returned.
func (s *Server) Stop() error { return s.stop() }

// Token returns a token for a user with a role in a tenant.
func (s *Server) Token(user, tenant string, role auth.Role) string {
	s.t.Helper()
	return s.Sign(auth.Identity{User: user, Tenants: []auth.Membership{{ID: tenant, Role: role}}}, time.Hour)
}

// Sign returns a token for any identity.
func (s *Server) Sign(id auth.Identity, ttl time.Duration) string {
	s.t.Helper()
	token, err := s.issuer.Sign(id, time.Now(), ttl)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// Do sends a REST request and decodes its answer into out, unless that is nil.
// body is marshalled unless it is nil or a string.
func (s *Server) Do(token, method, path string, body, out any) (status int) {
	s.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		r = bytes.NewReader(raw)
	}
	res, raw := s.Send(token, method, path, http.Header{}, r)
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			s.t.Fatalf("%s %s answered %s: %v", method, path, raw, err)
		}
	}
	return res.StatusCode
}

// Send sends a request with headers and returns the response and its body.
func (s *Server) Send(token, method, path string, header http.Header, body io.Reader) (*http.Response, []byte) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.URL+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header = header
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, raw
}

// Log is a log that may be read while it is written.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what has been written.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
