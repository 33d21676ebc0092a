package durability

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/test/fleet"
)

// A stage is instances, the runs that are started there and the clients that
// watch them.
type stage struct {
	*fleet.Fleet
	t        testing.TB
	ctx      context.Context // of everything
	client   *client
	recorder *recorder
	kinds    []kind
	ids      []string // of the workflows, as kinds
	child    string   // the id of the workflow that others run
	watchers []*watcher
	living   sync.WaitGroup
	calm     atomic.Bool // no connection is cut any more

	visits, recovered, cuts atomic.Int64

	mu       sync.Mutex
	theEpoch string
	runs     []*run
	byID     map[string]*run
	answers  map[string]*answered // by request
	failures map[string][]string
}

// set prepares a fleet and connects watchers, of which a half recovers.
func set(t testing.TB, o fleet.Options, rec *recorder, watchers int, seed uint64) *stage {
	o.Config += config
	s := &stage{
		Fleet: fleet.Start(t, o), t: t, recorder: rec,
		byID: map[string]*run{}, answers: map[string]*answered{}, failures: map[string][]string{},
	}
	var stop context.CancelFunc
	s.ctx, stop = context.WithCancel(context.Background())
	s.client = newClient(s.URLs(), s.Key)
	s.kinds = kinds(rec.URL)
	for i := range s.kinds {
		s.create(s.kinds[i])
		if s.kinds[i].name == "http" {
			s.child = s.ids[i]
		}
	}
	s.kinds = append(s.kinds, parent(rec.URL, s.child))
	s.create(s.kinds[len(s.kinds)-1])
	for i := range watchers {
		w := newWatcher(s, i, i%2 == 0, seed)
		s.watchers = append(s.watchers, w)
		s.living.Go(func() { w.live(s.ctx) })
	}
	t.Cleanup(func() {
		stop()
		s.living.Wait()
	})
	return s
}

// config lets http nodes reach the recorder, and requests be taken up soon that
// somebody was at who is dead.
const config = `
workflow: {http: {allowPrivate: true}}
socket: {handlerTimeout: 1s}
log: {level: warn}
`

func (s *stage) create(k kind) {
	id, err := s.client.create(s.ctx, k)
	if err != nil {
		s.t.Fatal(err)
	}
	s.ids = append(s.ids, id)
}

// fail notes what must not be.
func (s *stage) fail(what, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures[what] = append(s.failures[what], fmt.Sprintf(format, args...))
}

// learn notes the epoch of the database, by which clients say where they are.
func (s *stage) learn(epoch string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch != "" {
		s.theEpoch = epoch
	}
}

func (s *stage) epoch() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.theEpoch
}

// A run is one that was started.
type run struct {
	kind    *kind
	n       int    // which variant
	key     string // names it for the recorder
	follows []*follow
	over    chan struct{} // closed when a client has heard of its end

	stage *stage
	once  sync.Once

	mu sync.Mutex
	id string
}

func (r *run) input() map[string]any { return map[string]any{"key": r.key, "n": r.n} }

// known notes the id of the run.
func (r *run) known(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.id != "" && r.id != id {
		r.stage.fail("started twice", "%s is run %s and %s", r.key, r.id, id)
	}
	r.id = id
	r.stage.mu.Lock()
	r.stage.byID[id] = r
	r.stage.mu.Unlock()
}

func (r *run) instance() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.id
}

// isEnd reports whether an update says that the run is over.
func (*run) isEnd(what string) bool { return what == "COMPLETED" || what == "FAILED" }

func (r *run) end() { r.once.Do(func() { close(r.over) }) }

// start starts a run that some clients watch: with a widget, or over HTTP. It
// returns when the run is to be watched.
func (s *stage) start(k int, n int, rng *rand.Rand) *run {
	r := &run{kind: &s.kinds[k], n: n, key: uuid.NewString(), over: make(chan struct{}), stage: s}
	s.mu.Lock()
	s.runs = append(s.runs, r)
	s.mu.Unlock()
	first := rng.IntN(len(s.watchers))
	if rng.IntN(4) == 0 {
		f := &follow{run: r, widgetID: uuid.NewString(), workflowID: s.ids[k], messageID: r.key, input: r.input()}
		r.follows = []*follow{f}
		s.watchers[first].follow(f)
		return r
	}
	var begun struct{ InstanceID string }
	body := map[string]any{"inputValues": r.input()}
	if _, err := s.client.call(s.ctx, http.MethodPost, "/"+s.ids[k]+"/execute", r.key, body, &begun); err != nil {
		if s.ctx.Err() == nil {
			s.fail("start", "%s: %v", r.kind.name, err)
		}
		return r
	}
	r.known(begun.InstanceID)
	for i := range min(2, len(s.watchers)) {
		f := &follow{run: r, runID: begun.InstanceID}
		r.follows = append(r.follows, f)
		s.watchers[(first+i)%len(s.watchers)].follow(f)
	}
	return r
}

// answered is what became of the two answers to a request.
type answered struct {
	run   *run
	sends sync.WaitGroup
	taken [2]bool // by sender: the first has an Idempotency-Key
}

// asked answers a request for input, twice at once: one of them counts.
func (s *stage) asked(runID, request string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byID[runID]
	if r == nil || r.kind.answer == nil || s.answers[request] != nil {
		return
	}
	a := &answered{run: r}
	s.answers[request] = a
	for sender := range a.taken {
		key := ""
		if sender == 0 {
			key = "answer " + request
		}
		data := map[string]any{"sender": sender, "comment": fmt.Sprint("sender ", sender)}
		for k, v := range r.kind.answer(r.n) {
			data[k] = v
		}
		a.sends.Go(func() {
			body := map[string]any{"collectionRequestID": request, "submittedData": data}
			status, err := s.client.call(s.ctx, http.MethodPost, "/data-collection", key, body, nil)
			a.taken[sender] = status == http.StatusOK
			if err != nil && status != http.StatusNotFound && status != http.StatusConflict && s.ctx.Err() == nil {
				s.fail("answer", "%v", err)
			}
		})
	}
}

// load keeps so many runs going until ctx ends. What it starts is about the same
// for a seed.
func (s *stage) load(ctx context.Context, live int, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	var choice []int
	for i, k := range s.kinds {
		for range k.weight {
			choice = append(choice, i)
		}
	}
	slots := make(chan struct{}, live)
	going := make([]atomic.Int32, len(s.kinds))
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		k := choice[rng.IntN(len(choice))]
		for most := s.kinds[k].most; most > 0 && int(going[k].Load()) >= most; most = s.kinds[k].most {
			k = choice[rng.IntN(len(choice))]
		}
		going[k].Add(1)
		n, own := rng.IntN(s.kinds[k].variants), rand.New(rand.NewPCG(rng.Uint64(), 0))
		s.living.Go(func() {
			r := s.start(k, n, own)
			select {
			case <-r.over:
			case <-s.ctx.Done():
			}
			going[k].Add(-1)
			<-slots
		})
	}
}

// going returns how many runs are not known to be over.
func (s *stage) going() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		select {
		case <-r.over:
		default:
			n++
		}
	}
	return n
}

// behind returns how many clients have yet to hear of the end of a run.
func (s *stage) behind() (n int) {
	for _, w := range s.watchers {
		w.mu.Lock()
		for _, f := range w.all {
			if !f.done() {
				n++
			}
		}
		w.mu.Unlock()
	}
	return n
}

// settle returns when all runs are over and all clients know, or a time is up.
func (s *stage) settle(limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(s.ctx, limit)
	defer cancel()
	for s.going() > 0 || s.behind() > 0 {
		if pause(ctx, 20*time.Millisecond); ctx.Err() != nil {
			return false
		}
	}
	return true
}
