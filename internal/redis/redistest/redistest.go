// Package redistest runs real Redis servers on free ports, for tests: alone,
// with replicas, under Sentinel, as a Redis Cluster, with TLS. They keep nothing
// outside the test's own folders and end with the test, whatever state it left
// them in.
package redistest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomcast/roomcast/internal/eventually"
)

// patience is how long a server may take to start, on a machine that is busy
// with other tests.
const patience = 20 * time.Second

// A Server is one redis-server. Its methods are for the test's goroutines, and
// fail the test if the server does not do as it is told.
type Server struct {
	t       testing.TB
	dir     string
	args    []string
	port    int
	useTLS  bool
	certs   *Certs
	pass    string
	mu      sync.Mutex
	process *process
}

// Options change what is started.
type Options struct {
	// Keep makes data outlive [Server.Kill]: every write is in a file when it
	// is answered.
	Keep bool
	// Password is asked of clients.
	Password string
	// TLS serves TLS only, with the certificates of the server's Certs.
	TLS bool
	// Args are settings as redis-server takes them, such as "--maxmemory", "1mb".
	Args []string
}

// Start starts a server and waits until it answers.
func Start(t testing.TB, opts Options) *Server {
	t.Helper()
	redis.SetLogger(silence{})
	s := &Server{t: t, dir: t.TempDir(), port: freePort(t), useTLS: opts.TLS, pass: opts.Password}
	s.args = []string{"--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--daemonize", "no", "--repl-diskless-sync-delay", "0"}
	if opts.Keep {
		s.args = append(s.args, "--appendonly", "yes", "--appendfsync", "always")
	}
	if opts.Password != "" {
		s.args = append(s.args, "--requirepass", opts.Password)
	}
	if opts.TLS {
		s.certs = newCerts(t, s.dir)
		s.args = append(s.args, "--port", "0", "--tls-port", fmt.Sprint(s.port), "--tls-cert-file", s.certs.Cert,
			"--tls-key-file", s.certs.Key, "--tls-ca-cert-file", s.certs.CA, "--tls-auth-clients", "yes")
	} else {
		s.args = append(s.args, "--port", fmt.Sprint(s.port))
	}
	s.args = append(s.args, opts.Args...)
	s.start()
	t.Cleanup(s.Kill)
	return s
}

// Addr is host:port.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// Port is the port alone.
func (s *Server) Port() int { return s.port }

// URL is how clients name it.
func (s *Server) URL() string {
	scheme, user := "redis", ""
	if s.useTLS {
		scheme = "rediss"
	}
	if s.pass != "" {
		user = ":" + s.pass + "@"
	}
	return scheme + "://" + user + s.Addr()
}

// Certs are the files for clients of a server with TLS.
func (s *Server) Certs() *Certs { return s.certs }

// Pause stops the process where it stands (SIGSTOP): connections stay open and
// nothing is answered.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// Kill ends the server at once (SIGKILL). It may be dead already.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		s.process.kill()
		s.process = nil
	}
}

// Restart starts a server that was killed, on the same port: without data
// unless it keeps them.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	s.start()
}

// Do runs a command on a connection of its own and returns the reply: a string,
// an int64, nil or a []any of those.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	reply, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("redis-server on port %d: %v: %v", s.port, args, err)
	}
	return reply
}

// Promote makes a replica a master.
func (s *Server) Promote() {
	s.t.Helper()
	s.Do("REPLICAOF", "NO", "ONE")
}

// StartReplica starts a replica of a server and waits until it has its data.
func StartReplica(t testing.TB, of *Server, opts Options) *Server {
	t.Helper()
	opts.Password = of.pass
	opts.Args = append([]string{"--replicaof", "127.0.0.1", fmt.Sprint(of.port), "--masterauth", of.pass}, opts.Args...)
	if of.pass == "" {
		opts.Args = append(opts.Args[:3], opts.Args[5:]...)
	}
	s := Start(t, opts)
	s.await("it has not found its master", func() bool {
		info, err := s.try("INFO", "replication")
		return err == nil && strings.Contains(info.(string), "master_link_status:up")
	})
	return s
}

func (s *Server) start() {
	s.t.Helper()
	log := filepath.Join(s.dir, "redis.log")
	p, err := startProcess(log, "redis-server", s.args...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.process = p
	s.mu.Unlock()
	s.await("it does not answer", func() bool {
		_, err := s.try("PING")
		return err == nil
	})
}

func (s *Server) await(what string, condition func() bool) {
	s.t.Helper()
	came := false
	eventually.Within(patience, 5*time.Millisecond, func() bool {
		came = condition()
		return came || s.ended() // then nothing will come any more
	})
	if !came {
		log, _ := os.ReadFile(filepath.Join(s.dir, "redis.log"))
		s.t.Fatalf("redis-server on port %d: %s\n%s", s.port, what, log)
	}
}

func (s *Server) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process == nil || s.process.ended()
}

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		s.t.Fatalf("redis-server on port %d is not running", s.port)
	}
	if err := s.process.signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) try(args ...any) (any, error) {
	opts := &redis.Options{Addr: s.Addr(), Password: s.pass, Protocol: 2, MaxRetries: -1, DisableIdentity: true, DialTimeout: time.Second, DialerRetries: 1}
	if s.useTLS {
		opts.TLSConfig = s.certs.client()
	}
	client := redis.NewClient(opts)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	reply, err := client.Do(ctx, args...).Result()
	if err == redis.Nil {
		return nil, nil
	}
	return reply, err
}

// silence is how the client says what it also returns as errors.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

func (c *Certs) client() *tls.Config {
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: "127.0.0.1"}
}
