// Package leaks proves that clients which vanish leave nothing behind. They
// run in a process of their own, so that what is measured is the server alone.
package leaks

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
)

var full = flag.Bool("full", false, "20,000 clients that abort and 10,000 idle ones, instead of a tenth of each")

func TestMain(m *testing.M) {
	if url := os.Getenv(crowdURL); url != "" {
		if err := serveCrowd(url, os.Getenv(crowdToken)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

// soon is how long the server may take to notice that clients are gone. Those
// that are merely silent are found by the heartbeat, which takes most of it.
const soon = 20 * time.Second

func TestVanishedClientsLeaveNothing(t *testing.T) {
	aborts, idle, heartbeat := 2000, 1000, 2*time.Second
	if *full {
		aborts, idle, heartbeat = 20000, 10000, 3*time.Second
	}
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) {
		c.Socket.Recovery.Window = time.Second // sessions wait so long for their clients
		c.Socket.PingInterval, c.Socket.PingTimeout = heartbeat, heartbeat
		c.WebSocket.Ping, c.WebSocket.Idle = heartbeat/2, heartbeat*3/2
		c.Log.Level = "error" // the log is kept in memory here
	}})
	crowd := startCrowd(t, s.URL, s.Token("ada", "default", auth.Member))

	crowd.do("abort", 160)
	crowd.do("idle", 100)
	crowd.do("vanish", 0)
	start := settle(t, s.URL, func(figures) bool { return true })
	t.Logf("at the start: %v", start)

	// The second round must end with the heap of the first: of its busiest
	// moment the runtime keeps the descriptors of goroutines, and maps keep
	// their capacity, once.
	last := start
	for round := 1; round <= 2; round++ {
		level := func(f figures) bool {
			return f.goroutines <= start.goroutines && f.files <= start.files && (round == 1 || f.heap <= last.heap+last.heap/10)
		}
		crowd.do("abort", aborts)
		t.Logf("%d clients have aborted: %v", aborts, look(t, s.URL))
		t.Logf("and have left: %v", settle(t, s.URL, level))

		crowd.do("idle", idle)
		there := look(t, s.URL)
		t.Logf("%d clients are in a room: %v", idle, there)
		if there.connections != idle || there.sessions != idle-(idle+2)/3 || there.rooms == 0 { // plain ones have no session of Socket.IO
			t.Errorf("%d clients are in a room, but there are %v", idle, there)
		}
		crowd.do("vanish", 0)
		last = settle(t, s.URL, level)
		t.Logf("and have left: %v", last)
	}
}

// figures are what a client could leave behind.
type figures struct {
	connections, sessions, rooms int
	goroutines, files            int
	heap                         uint64 // bytes
}

func (f figures) String() string {
	return fmt.Sprintf("%d connections, %d sessions, %d rooms, %d goroutines, %d files, heap %.1f MiB",
		f.connections, f.sessions, f.rooms, f.goroutines, f.files, float64(f.heap)/(1<<20))
}

// metric finds the tables in the metrics; connections have a line for each
// transport.
var metric = regexp.MustCompile(`(?m)^roomcast_(?:websocket_)?(connections|sessions|rooms)(?:\{.*\})? (\d+)$`)

func look(t *testing.T, url string) figures {
	t.Helper()
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	var f figures
	tables := map[string]*int{"connections": &f.connections, "sessions": &f.sessions, "rooms": &f.rooms}
	for _, m := range metric.FindAllStringSubmatch(string(body), -1) {
		n, _ := strconv.Atoi(m[2])
		*tables[m[1]] += n
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var memory runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools hold goes with the second
	runtime.ReadMemStats(&memory)
	f.goroutines, f.files, f.heap = runtime.NumGoroutine(), len(files), memory.HeapAlloc
	return f
}

// settle waits until nobody is in the tables and the rest is at its level.
func settle(t *testing.T, url string, level func(figures) bool) figures {
	t.Helper()
	start := time.Now()
	var f figures
	if !eventually.Within(soon, 50*time.Millisecond, func() bool {
		f = look(t, url)
		return f.connections == 0 && f.sessions == 0 && f.rooms == 0 && level(f)
	}) {
		stacks := make([]byte, 1<<20)
		t.Fatalf("%v later: %v\n%s", soon, f, stacks[:runtime.Stack(stacks, true)])
	}
	t.Logf("everything was gone after %v", time.Since(start).Round(time.Millisecond))
	return f
}

// crowd is the process of the clients.
type crowd struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

const (
	crowdURL   = "LEAKS_CROWD_URL"
	crowdToken = "LEAKS_CROWD_TOKEN"
)

func startCrowd(t *testing.T, url, token string) *crowd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crowdURL+"="+url, crowdToken+"="+token)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return &crowd{t, in, bufio.NewScanner(out)}
}

// do has the clients do something and waits until they have.
func (c *crowd) do(what string, n int) {
	c.t.Helper()
	fmt.Fprintln(c.in, what, n)
	c.out.Scan()
	if answer := c.out.Text(); answer != done {
		c.t.Fatalf("%s %d: %s", what, n, strings.TrimSpace(answer))
	}
}
