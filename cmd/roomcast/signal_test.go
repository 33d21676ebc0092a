package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/eventually"
)

// TestMain lets a test run the program as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_ROOMCAST") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The first signal begins an orderly end, in which the server is not ready; the
// second is one at once.
func TestSignals(t *testing.T) {
	cmd := exec.Command(os.Args[0], "serve", "--dev", "--json", "--addr", "127.0.0.1:0")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "RUN_ROOMCAST=1", "ROOMCAST_SERVER_DRAINDELAY=1m", "ROOMCAST_SERVER_SHUTDOWNTIMEOUT=10m")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var a announcement
	if err := json.Unmarshal(line, &a); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	status := func(what string) int {
		res, err := http.Get(a.URLs[what])
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	eventually.True(t, func() bool { return status("ready") == http.StatusOK })
	cmd.Process.Signal(syscall.SIGTERM)
	eventually.True(t, func() bool { return status("ready") == http.StatusServiceUnavailable })
	if got := status("live"); got != http.StatusOK {
		t.Errorf("not alive while it drains: %d", got)
	}
	began := time.Now()
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || time.Since(began) > 10*time.Second {
		t.Errorf("ended with %d after %v", code, time.Since(began))
	}
}
