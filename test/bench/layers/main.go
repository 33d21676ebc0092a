// Command layers compares our WebSocket layer with libraries: each carries the
// same bare server, which echoes and broadcasts, in a process of its own. It
// is a module of its own, so that the libraries do not become dependencies of
// the server.
//
//	make bench-layers
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/websocket"
)

const (
	rounds   = 3
	warmUp   = time.Second / 2
	duration = 3 * time.Second
	settle   = time.Second
	patience = 30 * time.Second
)

// workloads are the columns of the table.
var workloads = []struct {
	name string
	run  func(*server) (float64, error)
}{
	{"echo of 200 bytes, 5,000/s over 50, CPU µs a message", (*server).echo},
	{"300 bytes to 1,000, 20,000/s, CPU µs a delivery", (*server).broadcast},
	{"idle at 10,000, KB a connection", (*server).idle},
}

func main() {
	name := flag.String("serve", "", "be the server of this layer")
	flag.Parse()
	if *name != "" {
		log.Fatal(serve(*name))
	}
	// values holds a value of each round, by layer and workload.
	values := make(map[string][][]float64)
	for _, l := range layers {
		values[l.name] = make([][]float64, len(workloads))
	}
	for round := range rounds {
		for w, workload := range workloads {
			for i := range layers {
				l := layers[(i+round)%len(layers)] // they take turns at being first
				v, err := measure(l.name, workload.run)
				if err != nil {
					log.Fatalf("%s, %s: %v", l.name, workload.name, err)
				}
				values[l.name][w] = append(values[l.name][w], v)
				fmt.Fprintf(os.Stderr, "round %d  %-18s %-52s %6.1f\n", round+1, l.name, workload.name, v)
			}
		}
	}
	report(values)
}

// report prints the medians, and the least and the greatest value.
func report(values map[string][][]float64) {
	versions := make(map[string]string)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			versions[dep.Path] = " " + dep.Version
		}
	}
	fmt.Print("| layer |")
	for _, w := range workloads {
		fmt.Printf(" %s |", w.name)
	}
	fmt.Println("\n|---|" + strings.Repeat("---:|", len(workloads)))
	for _, l := range layers {
		fmt.Printf("| %s%s |", l.name, versions["github.com/"+l.name])
		for _, v := range values[l.name] {
			slices.Sort(v)
			fmt.Printf(" **%.1f** (%.1f–%.1f) |", v[len(v)/2], v[0], v[len(v)-1])
		}
		fmt.Println()
	}
}

// server is the process that is measured, and our connections to it.
type server struct {
	pid     int
	url     string
	clients []*websocket.Client
}

// measure runs a workload against a fresh server.
func measure(layer string, workload func(*server) (float64, error)) (float64, error) {
	cmd := exec.Command(os.Args[0], "-serve", layer)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer cmd.Wait()
	defer stdin.Close() // it ends when its standard input does
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		return 0, errors.New("the server did not start")
	}
	s := &server{pid: cmd.Process.Pid, url: "ws://" + lines.Text()}
	defer s.disconnect()
	return workload(s)
}

// connect opens connections until there are n. Each has a message echoed, so
// all are where broadcasts go. The limit of open files needs no attention: the
// standard library raises it as far as it may.
func (s *server) connect(n int) error {
	opened := make([]*websocket.Client, n-len(s.clients))
	const dialers = 20
	err := each(min(dialers, len(opened)), func(first int) (err error) {
		for i := first; i < len(opened) && err == nil; i += dialers {
			if opened[i], _, err = websocket.Dial(context.Background(), s.url, nil); err != nil {
				break
			}
			send(opened[i], kindEcho, 200, 1, time.Now(), 0)
			err = receive(opened[i], kindEcho, 200, 1)
		}
		return err
	})
	s.clients = append(s.clients, opened...)
	return err
}

// disconnect resets the connections, so that none lingers in the kernel.
func (s *server) disconnect() {
	for _, c := range s.clients {
		if c != nil {
			c.Abort()
		}
	}
}

func (s *server) echo() (float64, error) {
	const connections, perSecond = 50, 5000
	if err := s.connect(connections); err != nil {
		return 0, err
	}
	const every = time.Second * connections / perSecond // on one connection
	return s.cost(connections, func(d time.Duration) (int, error) {
		count := int(d / every)
		start := time.Now()
		return count * connections, each(connections, func(i int) error {
			first := start.Add(every * time.Duration(i) / connections)
			go send(s.clients[i], kindEcho, 200, count, first, every)
			return receive(s.clients[i], kindEcho, 200, count)
		})
	})
}

func (s *server) broadcast() (float64, error) {
	const connections, perSecond = 1000, 20_000
	if err := s.connect(connections); err != nil {
		return 0, err
	}
	const every = time.Second * connections / perSecond
	return s.cost(connections, func(d time.Duration) (int, error) {
		count := int(d / every)
		go send(s.clients[0], kindBroadcast, 300, count, time.Now(), every)
		return count * connections, each(connections, func(i int) error {
			return receive(s.clients[i], kindBroadcast, 300, count)
		})
	})
}

// cost returns the processor time of the server for one of the messages that
// run exchanges, in microseconds.
func (s *server) cost(connections int, run func(time.Duration) (messages int, err error)) (float64, error) {
	for _, c := range s.clients {
		c.SetDeadline(time.Now().Add(patience))
	}
	if _, err := run(warmUp); err != nil {
		return 0, err
	}
	before, err := cpuTime(s.pid)
	if err != nil {
		return 0, err
	}
	n, err := run(duration)
	if err != nil {
		return 0, err
	}
	after, err := cpuTime(s.pid)
	return float64((after - before).Microseconds()) / float64(n), err
}

// idle returns what a connection occupies that is silent by now, in kilobytes.
// What the server no longer needs of the handshakes is not counted.
func (s *server) idle() (float64, error) {
	const connections = 10_000
	var resident [2]float64
	for i, n := range []int{1, 1 + connections} {
		if err := s.connect(n); err != nil {
			return 0, err
		}
		time.Sleep(settle)
		go send(s.clients[0], kindCollect, 10, 1, time.Now(), 0)
		if err := receive(s.clients[0], kindCollect, 10, 1); err != nil {
			return 0, err
		}
		time.Sleep(settle)
		var err error
		if resident[i], err = residentKB(s.pid); err != nil {
			return 0, err
		}
	}
	return (resident[1] - resident[0]) / connections, nil
}

// send sends numbered messages of a kind at a rate. That it fails shows where
// they are received.
func send(c *websocket.Client, k kind, size, count int, at time.Time, every time.Duration) {
	for i := range count {
		time.Sleep(time.Until(at.Add(every * time.Duration(i))))
		if c.WriteMessage(websocket.OpText, message(k, size, i)) != nil {
			return
		}
	}
}

// receive expects what send sends: every message, and in their order.
func receive(c *websocket.Client, k kind, size, count int) error {
	for i := range count {
		_, got, err := c.ReadMessage()
		if err != nil {
			return fmt.Errorf("message %d of %d: %w", i, count, err)
		}
		if want := message(k, size, i); string(got) != string(want) {
			return fmt.Errorf("%q came instead of %q", got, want)
		}
	}
	return nil
}

func message(k kind, size, number int) []byte {
	return fmt.Appendf(nil, "%c%0*d", k, size-1, number)
}

// each calls f with 0 to n-1, all at once.
func each(n int, f func(int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// cpuTime returns what a process has used, in the ticks of 10 ms that Linux
// counts.
func cpuTime(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is a name in brackets, which may hold anything.
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// residentKB returns the memory that a process occupies.
func residentKB(pid int) (kb float64, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(raw), "VmRSS:")
	_, err = fmt.Sscanf(rest, "%f kB", &kb)
	return kb, err
}

// serve is the server of a layer, until the standard input ends.
func serve(name string) error {
	i := slices.IndexFunc(layers, func(l layer) bool { return l.name == name })
	if i < 0 {
		return fmt.Errorf("no layer %q", name)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(l.Addr())
	return layers[i].serve(l)
}
