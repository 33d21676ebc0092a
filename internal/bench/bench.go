package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Target is the server under test.
type Target struct {
	URL   string
	Token string // sent as auth.token, if set
	// Path is where plain WebSockets of the dialect service are, to connect to
	// instead of Socket.IO; the workload idle can do so.
	Path string
	// PID is its process, for processor time and memory; 0 leaves them out.
	PID int
}

// Options size a workload. Zero values are the workload's own.
type Options struct {
	Connections int
	Duration    time.Duration
	Rate        int // messages, or publications, a second; 0 is as fast as it goes
	Window      int // messages under way on each connection
	Count       int // of a burst
	Rooms       int
	// Progress, if set, is told how far a run is, a few times a second.
	Progress func(done int64, what string)
}

// A Result is what a run came to. Figures that a workload does not have are 0.
type Result struct {
	Workload    string  `json:"workload"`
	Connections int     `json:"connections"`
	Messages    int64   `json:"messages"`
	Seconds     float64 `json:"seconds"`
	PerSecond   float64 `json:"perSecond"`
	// CPU is the server's processor time for one message, in microseconds.
	CPU float64 `json:"cpuMicros,omitempty"`
	// P50, P99 and Max are latencies in milliseconds.
	P50 float64 `json:"p50Millis,omitempty"`
	P99 float64 `json:"p99Millis,omitempty"`
	Max float64 `json:"maxMillis,omitempty"`
	// Memory is what one connection occupies in the server, in bytes.
	Memory float64 `json:"memoryBytes,omitempty"`
	// Written is how many bytes the server wrote to disks for one message.
	Written float64 `json:"writtenBytes,omitempty"`
	// Lost and Disordered count messages. Either makes the run a failure.
	Lost       int64 `json:"lost"`
	Disordered int64 `json:"disordered"`
}

// Err returns why the run is no result, nil if it is one.
func (r Result) Err() error {
	if r.Lost > 0 || r.Disordered > 0 {
		return fmt.Errorf("%s: %d messages were lost and %d came out of order", r.Workload, r.Lost, r.Disordered)
	}
	return nil
}

// A Workload is one kind of load.
type Workload struct {
	Name, About string
	Run         func(ctx context.Context, t Target, o Options) (Result, error)
}

// Workloads returns all kinds of load.
func Workloads() []Workload {
	return []Workload{
		{"connect", "open connections, each into the default namespace", runConnect},
		{"echo", "acknowledged events, several under way on each connection", runEcho},
		{"polling", "acknowledged events over HTTP long-polling", runPolling},
		{"fanout", "publications to one room of many", runFanout},
		{"rooms", "publications to many rooms of ten", runRooms},
		{"burst", "many publications back to back, every one counted", runBurst},
		{"idle", "memory of connections that do nothing", runIdle},
	}
}

// connectAll opens n connections, a few at a time.
func connectAll(ctx context.Context, t Target, n int, p *progress) ([]*client, error) {
	const parallel = 32
	clients := make([]*client, n)
	var next, done atomic.Int64
	var failure atomic.Pointer[error]
	var all sync.WaitGroup
	for range min(parallel, n) {
		all.Go(func() {
			for failure.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				c, err := connect(ctx, t)
				if err != nil {
					err = fmt.Errorf("connection %d: %w", i, err)
					failure.CompareAndSwap(nil, &err)
					return
				}
				clients[i] = c
				p.tell(done.Add(1), "connections")
			}
		})
	}
	all.Wait()
	if err := failure.Load(); err != nil {
		closeAll(clients)
		return nil, *err
	}
	return clients, nil
}

func closeAll(clients []*client) {
	for _, c := range clients {
		if c != nil {
			c.close()
		}
	}
}

// progress passes on how far a run is, but not too often.
type progress struct {
	fn   func(int64, string)
	last atomic.Int64
}

func newProgress(o Options) *progress { return &progress{fn: o.Progress} }

func (p *progress) tell(done int64, what string) {
	if p.fn == nil {
		return
	}
	now := time.Now().UnixMilli()
	if last := p.last.Load(); now-last > 200 && p.last.CompareAndSwap(last, now) {
		p.fn(done, what)
	}
}

// latencies collects durations and tells their percentiles.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) add(some []time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, some...)
}

// fill writes the percentiles into a result.
func (l *latencies) fill(r *Result) {
	if len(l.all) == 0 {
		return
	}
	slices.Sort(l.all)
	at := func(q float64) float64 {
		i := int(math.Ceil(q*float64(len(l.all)))) - 1
		return float64(l.all[max(i, 0)].Microseconds()) / 1000
	}
	r.P50, r.P99, r.Max = at(0.5), at(0.99), at(1)
}

// meter measures what a stretch of work costs the server.
type meter struct {
	pid   int
	begun time.Time
	cpu   time.Duration
}

func startMeter(pid int) (meter, error) {
	cpu, err := CPUTime(pid)
	return meter{pid, time.Now(), cpu}, err
}

// fill writes duration, rate and cost into a result that has its messages.
func (m meter) fill(r *Result) error {
	elapsed := time.Since(m.begun)
	cpu, err := CPUTime(m.pid)
	if err != nil {
		return err
	}
	r.Seconds = elapsed.Seconds()
	r.PerSecond = float64(r.Messages) / r.Seconds
	if m.pid != 0 && r.Messages > 0 {
		r.CPU = float64((cpu - m.cpu).Microseconds()) / float64(r.Messages)
	}
	return nil
}
