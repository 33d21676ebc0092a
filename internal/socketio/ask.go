package socketio

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
)

// A client may be back before the server that it was connected to knows that
// it is gone. So a server that does not find a session asks the others to let
// go of it.

// The notes of asking.
const (
	noteAsk  = "session.ask"
	noteHas  = "session.has"  // I have it, and am letting go of it
	noteLeft = "session.left" // it is saved
)

// asked is the content of all of them.
type asked struct {
	N     uint64 `json:"n"` // of the question
	PID   string `json:"pid,omitempty"`
	Owner owner  `json:"owner,omitzero"`
}

// asking are the questions that are open.
type asking struct {
	mu   sync.Mutex
	n    uint64
	open map[uint64]chan string // of the topics of the answers
}

// askTime is how long another server may take to say that it has a session.
// Most sessions that are asked for have expired, and nobody answers.
const askTime = 300 * time.Millisecond

// ask sees to it that another server that has a session saves it.
func (r *recovery) ask(ctx context.Context, pid string, who owner) {
	bus := r.srv.opts.Bus
	if !bus.Status().Up {
		return
	}
	n, answers := r.asking.begin()
	defer r.asking.end(n)
	bus.Send(cluster.Note{Topic: noteAsk, Data: encodeAsked(asked{n, pid, who})})
	patience := time.NewTimer(askTime)
	defer patience.Stop()
	for {
		select {
		case topic := <-answers:
			if topic == noteLeft {
				return
			}
			patience.Stop()
		case <-patience.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func encodeAsked(a asked) []byte {
	b, _ := json.Marshal(a)
	return b
}

func (a *asking) begin() (n uint64, answers chan string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open = make(map[uint64]chan string)
	}
	a.n++
	answers = make(chan string, 2)
	a.open[a.n] = answers
	return a.n, answers
}

func (a *asking) end(n uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, n)
}

func (a *asking) answered(topic string, n uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case a.open[n] <- topic:
	default: // nobody waits, or has heard enough
	}
}

// listen answers the others, and hears their answers.
func (r *recovery) listen() {
	bus := r.srv.opts.Bus
	bus.Listen(noteAsk, func(n cluster.Note) {
		var q asked
		if json.Unmarshal(n.Data, &q) == nil {
			r.letGo(n.From, q)
		}
	})
	for _, topic := range []string{noteHas, noteLeft} {
		bus.Listen(topic, func(n cluster.Note) {
			var a asked
			if json.Unmarshal(n.Data, &a) == nil {
				r.asking.answered(topic, a.N)
			}
		})
	}
}

// letGo saves a session for the server that its client has come back to.
func (r *recovery) letGo(asker string, q asked) {
	if r.find(q.PID, q.Owner) == nil {
		return
	}
	answer := func(topic string) {
		r.srv.opts.Bus.Send(cluster.Note{Topic: topic, To: asker, Data: encodeAsked(asked{N: q.N})})
	}
	answer(noteHas)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), saveTime)
		defer cancel()
		r.detach(ctx, q.PID, q.Owner)
		answer(noteLeft)
	}()
}
