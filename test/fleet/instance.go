package fleet

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/eventually"
)

// An Instance is one process of the server. It keeps its address when it is
// started again. Its methods fail the test when the process does not do as it
// is told.
type Instance struct {
	Name, URL string

	t      testing.TB
	binary string
	dir    string
	addr   string

	mu  sync.Mutex
	cmd *exec.Cmd
	log *os.File
}

func (in *Instance) config() string { return filepath.Join(in.dir, "config.yaml") }

// Start starts the process. It need not be ready when Start returns.
func (in *Instance) Start() {
	in.t.Helper()
	in.mu.Lock()
	defer in.mu.Unlock()
	log, err := os.OpenFile(filepath.Join(in.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		in.t.Fatal(err)
	}
	cmd := exec.Command(in.binary, "serve", "--config", in.config())
	cmd.Dir, cmd.Stdout, cmd.Stderr = in.dir, log, log
	cmd.SysProcAttr = diesWithParent()
	if err := cmd.Start(); err != nil {
		in.t.Fatal(err)
	}
	in.cmd, in.log = cmd, log
}

// AwaitReady returns when the instance says that it is ready.
func (in *Instance) AwaitReady() {
	in.t.Helper()
	eventually.True(in.t, in.Ready, func() string { return in.Name + " is not ready: " + in.Log() })
}

// Ready reports whether the instance says that it is ready.
func (in *Instance) Ready() bool {
	client := http.Client{Timeout: 2 * time.Second}
	res, err := client.Get(in.URL + "/health/ready")
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// PID is the process.
func (in *Instance) PID() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.cmd.Process.Pid
}

// Terminate asks the instance to end, waits until it has and returns how long
// that took.
func (in *Instance) Terminate() time.Duration {
	in.t.Helper()
	begun := time.Now()
	if err := in.end(syscall.SIGTERM); err != nil {
		in.t.Errorf("%s ended with %v: %s", in.Name, err, in.Log())
	}
	return time.Since(begun)
}

// Kill ends the process at once. It may have ended already.
func (in *Instance) Kill() { in.end(syscall.SIGKILL) }

func (in *Instance) end(sig syscall.Signal) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.cmd == nil {
		return nil
	}
	in.cmd.Process.Signal(sig)
	err := in.cmd.Wait()
	in.log.Close()
	in.cmd = nil
	return err
}

// Log returns the end of what the instance has written.
func (in *Instance) Log() string {
	raw, err := os.ReadFile(filepath.Join(in.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-4000):])
}

// run runs another verb of the program and returns what it prints.
func (in *Instance) run(args ...string) string {
	in.t.Helper()
	cmd := exec.Command(in.binary, args...)
	cmd.Dir = in.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		in.t.Fatalf("roomcast %s: %v: %s", args[0], err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out))
}
