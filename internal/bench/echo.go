package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// appendEcho appends an event of about 200 bytes, acknowledged under its
// number.
func appendEcho(dst []byte, seq int) []byte {
	dst = append(dst, "42"...)
	dst = strconv.AppendInt(dst, int64(seq), 10)
	dst = append(dst, `["bench:echo",{"id":"7c9e6679-7425-40de-944b-e07fc1f90ae7","seq":`...)
	dst = strconv.AppendInt(dst, int64(seq), 10)
	return append(dst, `,"text":"The quick brown fox jumps over the lazy dog, twice.","tags":["alpha","beta"],"urgent":false}]`...)
}

// runEcho sends acknowledged events on every connection: as many as the
// window lets be under way, or at a rate.
func runEcho(ctx context.Context, t Target, o Options) (Result, error) {
	n := orDefault(o.Connections, 50)
	window := orDefault(o.Window, 10)
	duration := orDefault(o.Duration, 5*time.Second)
	clients, err := connectAll(ctx, t, n, newProgress(Options{}))
	if err != nil {
		return Result{}, err
	}
	defer closeAll(clients)
	r := Result{Workload: "echo", Connections: n}
	e := echo{window: window, p: newProgress(o)}
	if o.Rate > 0 {
		e.every = time.Duration(float64(time.Second) * float64(n) / float64(o.Rate))
	}
	if err := e.run(clients, duration/5); err != nil { // warm up
		return r, err
	}
	e.acked.Store(0)
	e.latencies.all = nil
	m, err := startMeter(t.PID)
	if err != nil {
		return r, err
	}
	err = e.run(clients, duration)
	r.Messages, r.Lost, r.Disordered = e.acked.Load(), e.lost.Load(), e.disordered.Load()
	if err == nil {
		err = m.fill(&r)
	}
	e.latencies.fill(&r)
	return r, err
}

// echo is one run over many connections.
type echo struct {
	window int
	every  time.Duration // between the events of a connection; 0 is at once
	p      *progress

	acked, lost, disordered atomic.Int64
	latencies               latencies
}

func (e *echo) run(clients []*client, d time.Duration) error {
	var all sync.WaitGroup
	errs := make(chan error, len(clients))
	end := time.Now().Add(d)
	for i, c := range clients {
		c.ws.SetDeadline(end.Add(patience))
		all.Go(func() {
			if e.every > 0 {
				errs <- e.paced(c, end, time.Duration(i)*e.every/time.Duration(len(clients)))
			} else {
				errs <- e.windowed(c, end)
			}
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// windowed keeps the window full. The events that several acknowledgements of
// one read make room for leave in one write.
func (e *echo) windowed(c *client, end time.Time) error {
	sent, got := 0, 0
	var packet []byte
	var took []time.Duration
	begun := make([]time.Time, e.window)
	for time.Now().Before(end) || got < sent {
		now := time.Now()
		for sent-got < e.window && now.Before(end) {
			packet = appendEcho(packet[:0], sent)
			c.queue(packet)
			begun[sent%e.window] = now
			sent++
		}
		if len(c.out) > 0 {
			if err := c.flush(); err != nil {
				return err
			}
		}
		for {
			b, err := c.read()
			if err != nil {
				e.lost.Add(int64(sent - got))
				return fmt.Errorf("echo: %d of %d acknowledged: %w", got, sent, err)
			}
			if seq, ok := number(b, "43"); !ok || seq != got {
				e.disordered.Add(1)
			}
			took = append(took, time.Since(begun[got%e.window]))
			got++
			e.p.tell(e.acked.Add(1), "acknowledged")
			if !c.ws.Buffered() || got == sent {
				break
			}
		}
	}
	e.latencies.add(took)
	return nil
}

// paced sends at a rate, whether or not the server keeps up.
func (e *echo) paced(c *client, end time.Time, delay time.Duration) error {
	type stamp struct {
		seq int
		at  time.Time
	}
	stamps := make(chan stamp, 100_000)
	sendErr := make(chan error, 1)
	go func() {
		defer close(stamps)
		var packet []byte
		next := time.Now().Add(delay)
		for seq := 0; next.Before(end); seq++ {
			time.Sleep(time.Until(next))
			packet = appendEcho(packet[:0], seq)
			c.queue(packet)
			stamps <- stamp{seq, time.Now()}
			if err := c.flush(); err != nil {
				sendErr <- err
				return
			}
			next = next.Add(e.every)
		}
		sendErr <- nil
	}()
	var took []time.Duration
	for s := range stamps {
		b, err := c.read()
		if err != nil {
			e.lost.Add(int64(len(stamps)) + 1)
			return fmt.Errorf("echo: event %d was not acknowledged: %w", s.seq, err)
		}
		if seq, ok := number(b, "43"); !ok || seq != s.seq {
			e.disordered.Add(1)
		}
		took = append(took, time.Since(s.at))
		e.p.tell(e.acked.Add(1), "acknowledged")
	}
	e.latencies.add(took)
	return <-sendErr
}

// runPolling sends acknowledged events over long-polling, one under way on
// each connection: a POST with the event and a GET for the acknowledgement.
func runPolling(ctx context.Context, t Target, o Options) (Result, error) {
	n := orDefault(o.Connections, 20)
	duration := orDefault(o.Duration, 5*time.Second)
	r := Result{Workload: "polling", Connections: n}
	pollers := make([]*poller, n)
	for i := range pollers {
		var err error
		if pollers[i], err = newPoller(ctx, t); err != nil {
			return r, err
		}
		defer pollers[i].http.CloseIdleConnections()
	}
	m, err := startMeter(t.PID)
	if err != nil {
		return r, err
	}
	p := newProgress(o)
	var acked, lost atomic.Int64
	var took latencies
	var all sync.WaitGroup
	errs := make(chan error, n)
	end := time.Now().Add(duration)
	for _, c := range pollers {
		all.Go(func() {
			var mine []time.Duration
			for seq := 0; time.Now().Before(end); seq++ {
				begun := time.Now()
				if err := c.echo(seq); err != nil {
					lost.Add(1)
					errs <- err
					return
				}
				mine = append(mine, time.Since(begun))
				p.tell(acked.Add(1), "acknowledged")
			}
			took.add(mine)
		})
	}
	all.Wait()
	close(errs)
	r.Messages, r.Lost = acked.Load(), lost.Load()
	if err := m.fill(&r); err != nil {
		return r, err
	}
	took.fill(&r)
	return r, <-errs
}

// poller is a client over long-polling.
type poller struct {
	ctx  context.Context
	http *http.Client
	url  string
}

func newPoller(ctx context.Context, t Target) (*poller, error) {
	p := &poller{ctx, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}, Timeout: patience}, strings.TrimSuffix(t.URL, "/") + "/socket.io/?EIO=4&transport=polling"}
	open, err := p.get()
	if err != nil {
		return nil, err
	}
	sid, _, found := strings.Cut(strings.TrimPrefix(open, `0{"sid":"`), `"`)
	if !found {
		return nil, fmt.Errorf("polling: handshake %q", open)
	}
	p.url += "&sid=" + sid
	connect := "40"
	if t.Token != "" {
		connect += `{"token":` + strconv.Quote(t.Token) + `}`
	}
	if err := p.post([]byte(connect)); err != nil {
		return nil, err
	}
	for {
		body, err := p.get()
		if err != nil || strings.Contains(body, `40{"sid"`) {
			return p, err
		}
	}
}

func (p *poller) do(method string, body io.Reader) (string, error) {
	req, err := http.NewRequestWithContext(p.ctx, method, p.url, body)
	if err != nil {
		return "", err
	}
	res, err := p.http.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("polling: %s: %s", res.Status, b)
	}
	return string(b), err
}

func (p *poller) get() (string, error) { return p.do(http.MethodGet, nil) }

func (p *poller) post(packet []byte) error {
	_, err := p.do(http.MethodPost, bytes.NewReader(packet))
	return err
}

// echo sends one event and waits for its acknowledgement.
func (p *poller) echo(seq int) error {
	if err := p.post(appendEcho(nil, seq)); err != nil {
		return err
	}
	for {
		body, err := p.get()
		if err != nil {
			return err
		}
		for packet := range strings.SplitSeq(body, "\x1e") {
			if got, ok := number([]byte(packet), "43"); ok && strings.HasPrefix(packet, "43") {
				if got != seq {
					return fmt.Errorf("polling: acknowledgement %d, want %d", got, seq)
				}
				return nil
			}
			if packet == "2" {
				if err := p.post([]byte("3")); err != nil {
					return err
				}
			}
		}
	}
}
