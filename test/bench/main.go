// Command bench compares this server with socket.io from npm on this machine,
// measures how it carries on runs of workflows, and writes docs/benchmarks.md.
// The two take turns, in several rounds, each in a fresh process; what is
// reported are medians, and the median of the ratios of each round.
//
//	go run ./test/bench -rounds 3 -out docs/benchmarks.md
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/bench"
)

func main() {
	rounds := flag.Int("rounds", 3, "how often each is measured")
	out := flag.String("out", "", "Markdown file to write; the standard output unless set")
	only := flag.String("only", "", "measure only the rows whose names contain this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *rounds, *out, *only); err != nil {
		log.Fatal(err)
	}
}

// server is one of the servers that are compared.
type server struct {
	name  string
	start func(ctx context.Context) (bench.Target, process, error)
}

var (
	ours     = server{"roomcast", small("bin/bench-protocol", "-load", "-recovery", "-addr", "127.0.0.1:%d")}
	enforced = server{"roomcast, contract enforced", small("bin/bench-protocol", "-load", "-recovery", "-contract", "enforce", "-addr", "127.0.0.1:%d")}
	peer     = server{"socket.io (npm)", small("node", "test/peer/server.mjs", "%d")}
	// These are roomcast serve.
	whole = server{"roomcast serve, Socket.IO", serveWhole("")}
	plain = server{"roomcast serve, plain WebSocket at /ws/service", serveWhole("/ws/service")}
)

// small starts a server that says in a line that it is listening. Its last
// argument has its port.
func small(args ...string) func(context.Context) (bench.Target, process, error) {
	return func(ctx context.Context) (t bench.Target, p process, err error) {
		port, err := freePort()
		if err != nil {
			return t, p, err
		}
		args := slices.Clone(args)
		args[len(args)-1] = fmt.Sprintf(args[len(args)-1], port)
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "NODE_ENV=production")
		cmd.Stderr = os.Stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			return t, p, err
		}
		if err := cmd.Start(); err != nil {
			return t, p, err
		}
		p = process{cmd: cmd}
		if !bufio.NewScanner(stdout).Scan() {
			p.stop()
			return t, p, errors.New("it did not start")
		}
		return bench.Target{URL: fmt.Sprintf("http://127.0.0.1:%d", port), PID: cmd.Process.Pid}, p, nil
	}
}

// serveWhole starts the whole server, for Socket.IO or for plain WebSockets at a
// path.
func serveWhole(path string) func(context.Context) (bench.Target, process, error) {
	return func(ctx context.Context) (bench.Target, process, error) {
		t, p, err := startWhole(ctx, []string{"ROOMCAST_WEBSOCKET_PERADDRESS=1000000"})
		t.Path = path
		return t.Target, p, err
	}
}

// row is one thing that is measured, for each of some servers.
type row struct {
	name    string
	unit    string
	less    bool // less is better
	servers []server
	run     func(ctx context.Context, t bench.Target, o bench.Options) (bench.Result, error)
	options bench.Options
	value   func(bench.Result) float64
	target  float64 // the ratio that is to be reached, 0 if there is none
}

func rows() []row {
	workloads := map[string]func(context.Context, bench.Target, bench.Options) (bench.Result, error){"saturate": bench.Saturate}
	for _, w := range bench.Workloads() {
		workloads[w.Name] = w.Run
	}
	cpu := func(r bench.Result) float64 { return r.CPU }
	rate := func(r bench.Result) float64 { return r.PerSecond }
	memory := func(r bench.Result) float64 { return r.Memory / 1000 }
	p99 := func(r bench.Result) float64 { return r.P99 }
	both := []server{ours, peer}
	idle := []server{ours, whole, plain, peer}
	three := []server{ours, enforced, peer}
	return []row{
		{"connect", "µs", true, both, workloads["connect"], bench.Options{}, cpu, 0.3},
		{"idle, 10,000 connections", "KB a connection", true, idle, workloads["idle"], bench.Options{}, memory, 0.6},
		{"acked echo, window of 10", "µs", true, three, workloads["echo"], bench.Options{}, cpu, 0.25},
		{"acked echo, 5,000 a second", "µs", true, three, workloads["echo"], bench.Options{Rate: 5000}, cpu, 0.4},
		{"acked echo, 5,000 a second, p99", "ms", true, both, workloads["echo"], bench.Options{Rate: 5000}, p99, 0},
		{"acked echo, polling", "µs", true, both, workloads["polling"], bench.Options{}, cpu, 0.7},
		{"room of 1,000, 20,000 deliveries a second", "µs a delivery", true, both, workloads["fanout"], bench.Options{}, cpu, 0.55},
		{"room of 5,000, 20,000 deliveries a second", "µs a delivery", true, both, workloads["fanout"], bench.Options{Connections: 5000}, cpu, 0.55},
		{"room of 1,000, saturated", "deliveries a second", false, both, workloads["saturate"], bench.Options{}, rate, 0},
		{"room of 5,000, saturated", "deliveries a second", false, both, workloads["saturate"], bench.Options{Connections: 5000}, rate, 0},
		{"500 rooms of 10, 20,000 deliveries a second", "µs a delivery", true, both, workloads["rooms"], bench.Options{}, cpu, 0},
		{"burst of 1,000 to 50", "µs a delivery", true, both, workloads["burst"], bench.Options{}, cpu, 0},
	}
}

func run(ctx context.Context, rounds int, out, only string) error {
	if err := prepare(); err != nil {
		return err
	}
	var measured []*measurement
	for _, r := range rows() {
		if strings.Contains(r.name, only) {
			measured = append(measured, &measurement{row: r, values: make(map[string][]float64)})
		}
	}
	for round := range rounds {
		for _, m := range measured {
			if err := m.measure(ctx, round, rounds); err != nil {
				return err
			}
		}
	}
	text, err := report(measured, rounds)
	if err != nil {
		return err
	}
	runs, err := measureRuns(ctx, rounds, only)
	if err != nil {
		return err
	}
	text += runs
	if out == "" {
		fmt.Print(text)
		return nil
	}
	return os.WriteFile(out, []byte(text), 0o644)
}

// prepare builds our server and installs the peer.
func prepare() error {
	for _, args := range [][]string{
		{"go", "build", "-o", "bin/bench-protocol", "./test/protocol"},
		{"go", "build", "-o", "bin/roomcast", "./cmd/roomcast"},
		{"npm", "ci", "--prefix", "test/peer", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
		}
	}
	return nil
}

// measurement is a row and its values by server, one for each round.
type measurement struct {
	row
	values map[string][]float64
}

// measure runs a row against each of its servers. They take turns at being
// first.
func (m *measurement) measure(ctx context.Context, round, rounds int) error {
	for i := range m.servers {
		s := m.servers[(i+round)%len(m.servers)]
		r, err := against(ctx, s, m.row)
		if err == nil {
			err = r.Err()
		}
		if err != nil {
			return fmt.Errorf("%s, %s: %w", s.name, m.name, err)
		}
		v := m.value(r)
		m.values[s.name] = append(m.values[s.name], v)
		fmt.Fprintf(os.Stderr, "round %d of %d  %-45s %-28s %10.2f %s\n", round+1, rounds, m.name, s.name, v, m.unit)
	}
	return nil
}

// against starts a server, runs a row and stops it.
func against(ctx context.Context, s server, r row) (bench.Result, error) {
	t, p, err := s.start(ctx)
	if err != nil {
		return bench.Result{}, err
	}
	defer p.stop()
	return r.run(ctx, t, r.options)
}

// process is a server that runs.
type process struct {
	cmd    *exec.Cmd
	folder string // of its data, "" if it has none
}

func (p process) stop() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
	if p.folder != "" {
		os.RemoveAll(p.folder)
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// ratio is the median of a server's values divided by the peer's of the same
// round.
func (m *measurement) ratio(name string) float64 {
	var ratios []float64
	for i, v := range m.values[name] {
		ratios = append(ratios, v/m.values[peer.name][i])
	}
	return median(ratios)
}

func report(measured []*measurement, rounds int) (string, error) {
	var b strings.Builder
	machine, err := describeMachine()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, intro, machine, time.Now().UTC().Format("2006-01-02"), rounds)
	b.WriteString("| | unit | better | roomcast | socket.io | ratio | to reach |\n|---|---|---|---:|---:|---:|---:|\n")
	for _, m := range measured {
		for _, s := range m.servers {
			if s.name == peer.name {
				continue
			}
			better, target, name := "more", "", m.name
			if m.less {
				better = "less"
			}
			if m.target > 0 {
				target = fmt.Sprintf("%.2f", m.target)
			}
			if detail, ok := strings.CutPrefix(s.name, ours.name+" serve"); ok {
				name += detail + " of the whole server"
			}
			if s.name == enforced.name {
				name += ", contract enforced"
				target = map[string]string{"acked echo, window of 10": "0.45", "acked echo, 5,000 a second": "0.50"}[m.name]
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %.2f | %s |\n", name, m.unit, better, figure(median(m.values[s.name])), figure(median(m.values[peer.name])), m.ratio(s.name), target)
		}
	}
	b.WriteString(outro)
	return b.String(), nil
}

func figure(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

// describeMachine names the machine and the versions.
func describeMachine() (string, error) {
	version := func(args ...string) string {
		out, err := exec.Command(args[0], args[1:]...).Output()
		if err != nil {
			return args[0] + " of unknown version"
		}
		return strings.TrimSpace(string(out))
	}
	raw, err := os.ReadFile("test/peer/node_modules/socket.io/package.json")
	if err != nil {
		return "", err
	}
	var pkg struct{ Version string }
	if err := json.Unmarshal(raw, &pkg); err != nil {
		return "", err
	}
	goVersion := strings.TrimPrefix(version("go", "version"), "go version ")
	return fmt.Sprintf("%s processors, %s, Node %s, socket.io %s", version("nproc"), goVersion, version("node", "--version"), pkg.Version), nil
}

const intro = `# Benchmarks

Written by ` + "`make bench`" + `: %s, on %s. Load generator and server share the machine; the two servers took turns in %d rounds, each in a fresh process. Figures are medians; a ratio is the median of the ratios of the rounds. Microseconds are processor time of the server process for one message, which the generator's own use of the machine does not blur; rates and latencies do share it. WebSocket unless it says polling. Every message was counted: a run that lost one, or got one out of order, would have failed.

`

const outro = `
Our server is ` + "`test/protocol -load`" + `: the engine, sessions, rooms and router of the real one, with the Socket.IO library on top, and a typed handler for the echo; its clients could come back to their sessions, those of the peer, as it comes, could not. The whole server is ` + "`roomcast serve`" + `: its clients have tokens, and are in the rooms of their users at /ws/service. The peer is ` + "`test/peer`" + `: the same events on socket.io from npm with ws, as installed. An echo carries about 200 bytes, a publication about 300.
`
