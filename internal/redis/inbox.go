package redis

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
)

// complaint is how often, at most, what is malformed is logged.
const complaint = 10 * time.Second

// resyncPause is how far apart the receiver is told to look after what it
// missed. Further reasons in between are one.
const resyncPause = time.Second

// An inbox hands on what arrives, one message at a time.
type inbox struct {
	self     string
	log      *slog.Logger
	receiver cluster.Receiver

	received, malformed, repeated, resyncs atomic.Int64

	// turn is held while the receiver is called.
	turn sync.Mutex
	seen seen

	mu sync.Mutex
	// echoes are own messages to be delivered before anything else. They are
	// as many as are published while the receiver deals with one, which does
	// not block.
	echoes     []*cluster.Message
	echoing    bool // a goroutine is about to deliver them
	running    sync.WaitGroup
	complained time.Time
	resynced   time.Time
	resyncing  *time.Timer // nil unless one is to come
}

// echo delivers an own message soon. It does not block.
func (in *inbox) echo(m *cluster.Message) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.echoes = append(in.echoes, m)
	if !in.echoing {
		in.echoing = true
		in.running.Go(func() {
			in.turn.Lock()
			defer in.turn.Unlock()
			in.drain()
		})
	}
}

// drain delivers the echoes. The turn is held.
func (in *inbox) drain() {
	for {
		in.mu.Lock()
		echoes := in.echoes
		in.echoes = nil
		if len(echoes) == 0 {
			in.echoing = false
			in.mu.Unlock()
			return
		}
		in.mu.Unlock()
		for _, m := range echoes {
			in.receiver.Receive(m)
		}
	}
}

// own delivers a message of this server that came back.
func (in *inbox) own(m *cluster.Message) {
	in.turn.Lock()
	defer in.turn.Unlock()
	in.drain()
	in.receiver.Receive(m)
}

// deliver hands on what others say, once.
func (in *inbox) deliver(m incoming) {
	in.turn.Lock()
	defer in.turn.Unlock()
	if m.message != nil && m.seq > 0 && !in.seen.add(m.message.From, m.seq) {
		in.repeated.Add(1)
		return
	}
	in.drain()
	in.received.Add(1)
	if m.response != nil {
		in.receiver.Respond(m.namespace, m.response)
		return
	}
	in.receiver.Receive(m.message)
}

// bad counts what does not decode.
func (in *inbox) bad(where string, err error) {
	if err == errOther {
		return
	}
	in.malformed.Add(1)
	in.mu.Lock()
	quiet := time.Since(in.complained) < complaint
	if !quiet {
		in.complained = time.Now()
	}
	in.mu.Unlock()
	if !quiet {
		in.log.Warn("a message from redis was left out", "channel", where, "error", err, "count", in.malformed.Load())
	}
}

// resync tells the receiver that it may have missed something, now or when it
// was told so less than a moment ago.
func (in *inbox) resync() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.resyncing == nil {
		in.running.Add(1)
		in.resyncing = time.AfterFunc(time.Until(in.resynced.Add(resyncPause)), in.resyncNow)
	}
}

func (in *inbox) resyncNow() {
	defer in.running.Done()
	in.turn.Lock()
	defer in.turn.Unlock()
	in.mu.Lock()
	in.resyncing, in.resynced = nil, time.Now()
	in.mu.Unlock()
	in.resyncs.Add(1)
	in.drain()
	in.receiver.Resync()
}

// stop waits for what it has begun.
func (in *inbox) stop() {
	in.mu.Lock()
	if in.resyncing != nil && in.resyncing.Stop() {
		in.resyncing = nil
		in.running.Done()
	}
	in.mu.Unlock()
	in.running.Wait()
}
