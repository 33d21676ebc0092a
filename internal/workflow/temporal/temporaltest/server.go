//go:build temporal

// Package temporaltest runs development servers of Temporal, for tests.
package temporaltest

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.temporal.io/sdk/client"

	"github.com/roomcast/roomcast/internal/eventually"
)

// A Server is a development server on a port of its own, with its data in a
// folder of the test. It is killed when the test ends.
type Server struct {
	Address string // host:port

	t      testing.TB
	binary string
	file   string // its database
	cmd    *exec.Cmd
}

// Start starts the binary that test/temporal/build builds, and waits until it
// answers.
func Start(t testing.TB, binary string) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := &Server{Address: l.Addr().String(), t: t, binary: binary, file: filepath.Join(t.TempDir(), "temporal.db")}
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// Start starts the server again, with what it had.
func (s *Server) Start() {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(s.Address)
	s.cmd = exec.Command(s.binary, "server", "start-dev", "--headless", "--ip", host, "--port", port, "--log-level", "never", "--db-filename", s.file)
	s.cmd.Stdout, s.cmd.Stderr = io.Discard, os.Stderr
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("the development server %q: %v", s.binary, err)
	}
	eventually.True(s.t, func() bool {
		c, err := client.DialContext(s.t.Context(), client.Options{HostPort: s.Address, Logger: Silent{}})
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// Kill ends the server.
func (s *Server) Kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// Silent is a logger for Temporal's client that says nothing.
type Silent struct{}

// Debug implements log.Logger of Temporal's client, as do the others.
func (Silent) Debug(string, ...any) {}

// Info says nothing.
func (Silent) Info(string, ...any) {}

// Warn says nothing.
func (Silent) Warn(string, ...any) {}

// Error says nothing.
func (Silent) Error(string, ...any) {}
