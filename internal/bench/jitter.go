package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// JitterOptions describe clients with bad connections. Zero values have the
// defaults that are named.
type JitterOptions struct {
	URLs  []string // the instances; each return goes to the next one
	Token string   // sent as auth.token, if set
	PIDs  []int    // processes of the servers, for processor time

	Clients  int           // in one room; 1000
	Rate     int           // publications a second; 10
	Every    time.Duration // from cut to cut of each client; 15 s
	Away     time.Duration // how long the network is away after a cut; 2 s
	Duration time.Duration // for which is published; 5 minutes

	JoinEvent   string          // bench:join
	JoinPayload json.RawMessage // "bench-jitter"
	Publish     PublishOptions
	// Since makes clients whose session was not recovered ask for what they
	// missed: join {room, since: {epoch, offset}}.
	Since bool
	// NoRecovery makes clients forget their private id, as versions before 4.6
	// never had one.
	NoRecovery bool
	// PollingShare is how many of the clients, from 0 to 1, use long-polling.
	PollingShare float64
	// SilentShare is how many of the cuts, from 0 to 1, the server is not told
	// of: the TCP connection stays open and nobody reads it, as when a phone
	// changes its network. Clients that poll have none of these.
	SilentShare float64
	Seed        uint64
	Progress    func(done int64, what string)
}

func (o JitterOptions) withDefaults() JitterOptions {
	o.Clients, o.Rate = orDefault(o.Clients, 1000), orDefault(o.Rate, 10)
	o.Every, o.Away = orDefault(o.Every, 15*time.Second), orDefault(o.Away, 2*time.Second)
	o.Duration = orDefault(o.Duration, 5*time.Minute)
	o.JoinEvent = orDefault(o.JoinEvent, "bench:join")
	if o.JoinPayload == nil {
		o.JoinPayload = json.RawMessage(`"bench-jitter"`)
	}
	o.Publish = o.Publish.withDefaults()
	return o
}

// A JitterResult is what came of it. Deliveries are counted over all clients:
// each is to get every publication once.
type JitterResult struct {
	Clients      int     `json:"clients"`
	Polling      int     `json:"polling"` // of them
	Publications int64   `json:"publications"`
	Seconds      float64 `json:"seconds"`

	Expected  int64 `json:"expected"`
	Delivered int64 `json:"delivered"`
	// Told are missing, but a gap event said so in their place. Lost are
	// missing without a word.
	Told       int64 `json:"told"`
	Lost       int64 `json:"lost"`
	Doubled    int64 `json:"doubled"`
	Disordered int64 `json:"disordered"`
	Gaps       int64 `json:"gaps"`            // gap events
	Harmed     int   `json:"clientsWithLoss"` // clients with any Lost or Told

	Cuts        int64 `json:"cuts"`        // by the client
	Drops       int64 `json:"drops"`       // by the server, or by its silence
	Refused     int64 `json:"refused"`     // attempts to come back that failed
	Recovered   int64 `json:"recovered"`   // returns with the same private id
	Unrecovered int64 `json:"unrecovered"` // returns with another, or none
	Absent      int64 `json:"neverReturned"`

	// EndToEnd is from publishing to receiving, absences included. CaughtUp is
	// from the answer to CONNECT until the client has all that had been
	// published by then; Returned is from the loss of the connection until the
	// same. Returns after which something is missing are not in these two.
	EndToEnd Quantiles `json:"endToEndMillis"`
	CaughtUp Quantiles `json:"caughtUpMillis"`
	Returned Quantiles `json:"returnedMillis"`
	// Publishing is how long the server takes to accept a publication.
	Publishing Quantiles `json:"publishingMillis"`

	// ServerCPU and ClientCPU are processor time for one delivery, in
	// microseconds.
	ServerCPU float64 `json:"serverCpuMicros,omitempty"`
	ClientCPU float64 `json:"clientCpuMicros"`
	// Failures are the first things that went wrong.
	Failures []string `json:"failures,omitempty"`
}

// Err returns why the promise was broken, nil if it was kept: everything
// delivered once and in order, or told to be missing, and everybody back.
func (r JitterResult) Err() error {
	if r.Lost == 0 && r.Doubled == 0 && r.Disordered == 0 && r.Absent == 0 {
		return nil
	}
	return fmt.Errorf("jitter: %d lost without a word, %d doubled, %d out of order, %d clients never returned",
		r.Lost, r.Doubled, r.Disordered, r.Absent)
}

// Quantiles of times, in milliseconds.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// jitter is one run.
type jitter struct {
	o        JitterOptions
	members  []*member
	progress *progress
	begun    time.Time
	calm     atomic.Bool // publishing is over: nobody is cut any more

	published, got, present                       atomic.Int64
	cuts, drops, refusals, recovered, unrecovered atomic.Int64
	mu                                            sync.Mutex
	failures                                      []string
}

// Jitter publishes to a room whose members lose their connections all the
// time, and counts what they get.
//
// A cut resets the TCP connection; what is under way in it is gone. A silent
// one leaves it open and unread until the next. The client
// then does what the stock client does: it waits for a second, doubled with
// each attempt up to five, half more or less, and an attempt while the network
// is away fails at once. So with an absence of two seconds a client is back
// after two to seven, three in the middle.
func Jitter(ctx context.Context, o JitterOptions) (JitterResult, error) {
	o = o.withDefaults()
	j := &jitter{o: o, progress: &progress{fn: o.Progress}}
	living, end := context.WithCancel(ctx)
	var alive sync.WaitGroup
	defer func() {
		end()
		alive.Wait()
	}()
	if err := j.seat(living); err != nil {
		return JitterResult{}, err
	}
	p, err := newJitterPublisher(ctx, o)
	if err != nil {
		return JitterResult{}, err
	}
	defer p.close()
	clientCPU, serverCPU, err := j.processorTime()
	if err != nil {
		return JitterResult{}, err
	}
	j.begun = time.Now()
	for _, m := range j.members {
		// The first cuts are spread over one period, which begins when everybody
		// has got something: before that the stock client has no offset.
		m.nextCut = j.begun.Add(o.Every/15 + time.Duration(m.rng.Int64N(int64(o.Every))))
		m.wait()
		alive.Go(func() { m.live(living) })
	}
	if err := j.publish(ctx, p); err != nil {
		return JitterResult{}, err
	}
	seconds := time.Since(j.begun).Seconds()
	if err := j.settle(ctx); err != nil {
		return JitterResult{}, err
	}
	clientCPU2, serverCPU2, _ := j.processorTime() // a server may have ended by now
	absent := int64(o.Clients) - j.present.Load()
	end()
	alive.Wait()
	r := j.result()
	r.Seconds, r.Absent, r.Publishing = seconds, absent, quantiles(p.took)
	if r.Delivered > 0 {
		r.ClientCPU = float64((clientCPU2 - clientCPU).Microseconds()) / float64(r.Delivered)
		r.ServerCPU = max(0, float64((serverCPU2-serverCPU).Microseconds())/float64(r.Delivered))
	}
	return r, nil
}

// seat connects the members and puts them into the room.
func (j *jitter) seat(ctx context.Context) error {
	polling := int(j.o.PollingShare*float64(j.o.Clients) + 0.5)
	for i := range j.o.Clients {
		rng := rand.New(rand.NewPCG(j.o.Seed, uint64(i)))
		j.members = append(j.members, &member{run: j, polling: i < polling, url: i, rng: rng, backoff: backoff{rng: rng}})
	}
	const parallel = 32
	var next, done atomic.Int64
	var all sync.WaitGroup
	errs := make(chan error, parallel)
	for range min(parallel, j.o.Clients) {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(j.o.Clients); i = next.Add(1) - 1 {
				if err := j.members[i].open(ctx); err != nil {
					errs <- fmt.Errorf("client %d: %w", i, err)
					return
				}
				j.progress.tell(done.Add(1), "clients")
			}
		})
	}
	all.Wait()
	close(errs)
	return <-errs
}

// publish publishes at the rate for the duration. A server that is slow gets
// what is due back to back, one at a time, so that the order is the sender's.
func (j *jitter) publish(ctx context.Context, p *jitterPublisher) error {
	every := time.Second / time.Duration(j.o.Rate)
	for n := range int(j.o.Duration / every) {
		if err := sleep(ctx, time.Until(j.begun.Add(time.Duration(n)*every))); err != nil {
			return err
		}
		if err := p.publish(ctx, n); err != nil {
			return fmt.Errorf("publication %d: %w", n, err)
		}
		j.published.Add(1)
	}
	return nil
}

// quiet is how long nothing may come before what is missing is lost.
const quiet = 5 * time.Second

// settle waits until everybody is back and has everything, or until nothing
// has come for a while.
func (j *jitter) settle(ctx context.Context) error {
	j.calm.Store(true)
	last, changed := int64(-1), time.Now()
	for {
		if now := j.got.Load() + j.present.Load(); now != last {
			last, changed = now, time.Now()
		}
		everybody := j.present.Load() == int64(j.o.Clients)
		silent := time.Since(changed)
		if everybody && (j.got.Load() == j.published.Load()*int64(j.o.Clients) || silent > quiet) || silent > patience {
			return nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func (j *jitter) delivered() { j.progress.tell(j.got.Add(1), "delivered") }

// refused notes an attempt to come back that failed.
func (j *jitter) refused(err error) {
	j.refusals.Add(1)
	j.fail(err)
}

// fail keeps the first failures for the result.
func (j *jitter) fail(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.failures) < 5 {
		j.failures = append(j.failures, err.Error())
	}
}

// result adds up what the members have counted. They have ended.
func (j *jitter) result() JitterResult {
	published := j.published.Load()
	r := JitterResult{
		Clients: j.o.Clients, Publications: published, Expected: published * int64(j.o.Clients),
		Cuts: j.cuts.Load(), Drops: j.drops.Load(), Refused: j.refusals.Load(),
		Recovered: j.recovered.Load(), Unrecovered: j.unrecovered.Load(), Failures: j.failures,
	}
	var endToEnd, caughtUp, returned []time.Duration
	for _, m := range j.members {
		delivered, told, lost := m.ledger.settle(int(published))
		r.Delivered += delivered
		r.Told += told
		r.Lost += lost
		r.Doubled += m.ledger.doubled
		r.Disordered += m.ledger.disordered
		r.Gaps += m.ledger.gaps
		if told+lost > 0 {
			r.Harmed++
		}
		if m.polling {
			r.Polling++
		}
		endToEnd = append(endToEnd, m.latencies...)
		caughtUp = append(caughtUp, m.caughtUp...)
		returned = append(returned, m.returned...)
	}
	r.EndToEnd, r.CaughtUp, r.Returned = quantiles(endToEnd), quantiles(caughtUp), quantiles(returned)
	return r
}

func quantiles(all []time.Duration) Quantiles {
	var r Result
	(&latencies{all: all}).fill(&r)
	return Quantiles{r.P50, r.P99, r.Max}
}

// processorTime returns what this process and the servers have used.
func (j *jitter) processorTime() (client, server time.Duration, err error) {
	if client, err = CPUTime(os.Getpid()); err != nil {
		return 0, 0, err
	}
	for _, pid := range j.o.PIDs {
		used, err := CPUTime(pid)
		if err != nil {
			return client, server, err
		}
		server += used
	}
	return client, server, nil
}
