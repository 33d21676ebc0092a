// Package postgrestest runs a PostgreSQL server for tests. It is in a folder
// of its own, listens on no network, and ends with the process of the tests
// however that ends.
package postgrestest

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/eventually"
	_ "github.com/roomcast/roomcast/internal/store/postgres" // the driver
)

// shared is the server of this process, begun with the first test that needs
// one.
var shared = sync.OnceValues(start)

// URL returns the URL of a fresh, empty database, which is removed when the
// test ends.
func URL(t testing.TB) string {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return s.URL(t)
}

// A Server is a PostgreSQL server that can be stopped and started again. Tests
// that need no such thing share one by way of [URL].
type Server struct {
	folder   string
	settings string // as arguments
	bin      string
	attr     *syscall.SysProcAttr
	watcher  *exec.Cmd
	lifeline io.Closer // the server ends with it
	mu       sync.Mutex
	created  int
}

// fast is for tests: what is lost with the power is of no use anyway.
const fast = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"

// Durable starts a server that has on its disk what it has committed, as it
// comes, for measurements. It ends with Close.
func Durable() (*Server, error) { return startWith("") }

// New starts a server of the test's own.
func New(t testing.TB) *Server {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func start() (*Server, error) { return startWith(fast) }

func startWith(settings string) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "roomcast-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{folder: folder, settings: settings, bin: bin}
	if err := s.disown(); err != nil {
		return nil, err
	}
	initdb := s.command(filepath.Join(bin, "initdb"), "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	if out, err := initdb.CombinedOutput(); err != nil {
		os.RemoveAll(folder)
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	return s, s.Start()
}

// binaries finds the newest server that is installed.
func binaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return "", errors.New("there is no PostgreSQL in /usr/lib/postgresql: install the Debian package postgresql, or run test/setup")
	}
	return filepath.Dir(slices.Max(found)), nil
}

// disown gives the folder to somebody who is not root, whom the server
// refuses to run as.
func (s *Server) disown() error {
	if os.Getuid() != 0 {
		return nil
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		if who, err = user.Lookup("nobody"); err != nil {
			return err
		}
	}
	uid, _ := strconv.ParseUint(who.Uid, 10, 32)
	gid, _ := strconv.ParseUint(who.Gid, 10, 32)
	s.attr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return os.Chown(s.folder, int(uid), int(gid))
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.SysProcAttr = s.folder, s.attr
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	return cmd
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

// watch runs the server until the other end of its standard input is closed.
// The folder goes when $2 is gone too, which only the owner removes.
const watch = `"$1/postgres" -D data -k "$PWD" -c listen_addresses= $2 -c max_connections=200 -c shared_buffers=32MB -c logging_collector=off >>log 2>&1 </dev/null &
read -r order
kill -INT $!
wait $!
[ "$order" = stop ] || rm -rf "$PWD"
`

// Start starts the server again after [Server.Stop].
func (s *Server) Start() error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	s.watcher, s.lifeline = s.command("/bin/sh", "-c", watch, "sh", s.bin, s.settings), write
	s.watcher.Stdin = read
	err = s.watcher.Start()
	read.Close()
	if err != nil {
		return err
	}
	return s.await()
}

// patience is how long the server may take to start, on a machine that is busy
// with other tests.
const patience = 30 * time.Second

// await returns when the server answers.
func (s *Server) await() error {
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	answers := func() bool {
		err = db.Ping()
		return err == nil
	}
	if !eventually.Within(patience, 20*time.Millisecond, answers) {
		log, _ := os.ReadFile(filepath.Join(s.folder, "log"))
		return fmt.Errorf("PostgreSQL does not start: %w: %s", err, bytes.TrimSpace(log))
	}
	return nil
}

// Stop ends the server at once, and with it all connections; its databases
// stay.
func (s *Server) Stop() error {
	if _, err := io.WriteString(s.lifeline.(io.Writer), "stop\n"); err != nil {
		return err
	}
	return errors.Join(s.lifeline.Close(), s.watcher.Wait())
}

// Close ends the server for good.
func (s *Server) Close() error {
	if s.watcher.ProcessState == nil {
		s.lifeline.Close()
		s.watcher.Wait()
	}
	return os.RemoveAll(s.folder)
}

// URL returns the URL of a fresh, empty database.
func (s *Server) URL(t testing.TB) string {
	t.Helper()
	name, err := s.create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.watcher.ProcessState != nil {
			return // it has been stopped
		}
		if err := s.exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return s.url(name)
}

// Database returns the URL of a fresh, empty database, which stays.
func (s *Server) Database() (string, error) {
	name, err := s.create()
	return s.url(name), err
}

func (s *Server) create() (name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.created++
	name = fmt.Sprintf("test_%d", s.created)
	return name, s.exec("CREATE DATABASE " + name)
}

func (s *Server) exec(statement string) error {
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

func (s *Server) url(database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {s.folder}, "user": {"postgres"}}.Encode()
}
