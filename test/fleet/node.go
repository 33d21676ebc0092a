package fleet

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/roomcast/roomcast/internal/bench"
)

// A Node is a server on socket.io from npm, test/peer/server.mjs.
type Node struct {
	URL string
	PID int
}

// StartNode starts a server on socket.io, which ends with the test.
func StartNode(t testing.TB, args ...string) *Node {
	t.Helper()
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	_, file, _, _ := runtime.Caller(0)
	cmd := exec.Command("node", append([]string{filepath.Join(filepath.Dir(file), "../peer/server.mjs"), port}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_ENV=production")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = diesWithParent()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		io.Copy(io.Discard, out)
		cmd.Wait()
	})
	if !bufio.NewScanner(out).Scan() { // it says that it is listening
		t.Fatal("test/peer/server.mjs did not start")
	}
	return &Node{URL: "http://" + addr, PID: cmd.Process.Pid}
}

// NodeLoad returns the jitter profile for servers on socket.io.
func NodeLoad(nodes ...*Node) bench.JitterOptions {
	var o bench.JitterOptions
	for _, n := range nodes {
		o.URLs, o.PIDs = append(o.URLs, n.URL), append(o.PIDs, n.PID)
	}
	return o
}
