package logstream

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/every"
)

// An Exchange shows the logs and numbers of several servers on each of them.
//
// A server that has watchers says so to the others, again and again. While they
// hear that, they send it every line of theirs, redacted as it stands in the
// ring, and their numbers; when nobody watches nothing is sent. Lines of a
// server are numbered, so that what did not arrive is noticed: it is asked for,
// once, when the server is first heard of, and told as dropped after that.
type Exchange struct {
	opts   ExchangeOptions
	stream *Stream

	mu       sync.Mutex
	watchers int       // here
	watched  time.Time // until then others watch
	remotes  map[string]*remote
	second   time.Time // in which
	lines    int       // so many lines
	bytes    int       // of so many bytes were sent
}

// ExchangeOptions configure an [Exchange].
type ExchangeOptions struct {
	Notes cluster.Notes
	// Call asks another server and returns its answer. It may take its time.
	Call func(ctx context.Context, server, method string, payload []byte) ([]byte, error)
	// Others returns the servers that are known to be there, as Call takes them.
	Others func(ctx context.Context) []string
	// Stats is called with the numbers of another server. It must not log.
	Stats func(events.Stats)
}

// MethodRecent is the method under which [Exchange.Recent] has to answer.
const MethodRecent = "monitor.recent"

// The notes between servers.
const (
	noteWatch = "monitor.watch" // I have watchers
	noteLine  = "monitor.log"
	noteStats = "monitor.stats"
)

// What one server may send in a second. What is beyond is counted, and told, by
// who gets the next line.
const (
	maxLines = 200
	maxBytes = 256 << 10
)

// maxRecent bounds what one server answers to a question for its latest lines.
const (
	maxRecent      = 1000
	maxRecentBytes = 1 << 20
)

// Watchers say so every announceInterval and are believed for watchTime.
const (
	announceInterval = 3 * time.Second
	watchTime        = 10 * time.Second
	// recentTime is how long the latest lines of others are waited for.
	recentTime = time.Second
)

// remote is another server as this one hears it.
type remote struct {
	heard   time.Time
	through uint64 // the latest of its lines here
	asking  bool   // for what was before
	stale   bool   // nobody has watched since
	held    []wireLine
}

// wireLine is a line between servers.
type wireLine struct {
	Number  uint64          `json:"number"`
	From    events.Instance `json:"from"`
	Time    time.Time       `json:"time"`
	Level   slog.Level      `json:"level"`
	Tenant  string          `json:"tenant,omitempty"`
	Shared  bool            `json:"shared,omitempty"`
	Content json.RawMessage `json:"content"`
}

func (l Line) wire() wireLine {
	return wireLine{l.Own, l.From, l.Time, l.Level, l.Tenant, l.Shared, json.RawMessage(l.Content)}
}

func (w wireLine) line() Line {
	return Line{From: w.From, Time: w.Time, Level: w.Level, Tenant: w.Tenant, Shared: w.Shared, Content: events.JSON(w.Content)}
}

// NewExchange returns an Exchange that listens. It must be made before the
// notes begin to be carried.
func NewExchange(stream *Stream, opts ExchangeOptions) *Exchange {
	x := &Exchange{opts: opts, stream: stream, remotes: make(map[string]*remote)}
	opts.Notes.Listen(noteWatch, func(cluster.Note) { x.announced() })
	opts.Notes.Listen(noteLine, x.lineCame)
	opts.Notes.Listen(noteStats, x.statsCame)
	return x
}

// Run says that there are watchers, while there are, until ctx ends.
func (x *Exchange) Run(ctx context.Context) error {
	every.Do(ctx, announceInterval, func(time.Time) {
		if x.watching() {
			x.announce()
		}
		x.forget(time.Now().Add(-10 * watchTime))
	})
	return nil
}

func (x *Exchange) announce() { x.opts.Notes.Send(cluster.Note{Topic: noteWatch}) }

func (x *Exchange) watching() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.watchers > 0
}

// forget drops what is known of servers that have not been heard of.
func (x *Exchange) forget(before time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for id, r := range x.remotes {
		if r.heard.Before(before) && !r.asking {
			delete(x.remotes, id)
		}
	}
}

// Watch notes a watcher on this server. The first one brings the latest lines
// of the others, for which it waits a second at most.
func (x *Exchange) Watch(ctx context.Context) {
	x.mu.Lock()
	x.watchers++
	first := x.watchers == 1
	x.mu.Unlock()
	if first {
		x.announce()
		x.askAll(ctx)
	}
}

// Unwatch is the end of Watch.
func (x *Exchange) Unwatch() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.watchers--
	if x.watchers == 0 {
		for _, r := range x.remotes {
			r.stale = true
		}
	}
}

func (x *Exchange) askAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, recentTime)
	defer cancel()
	var asking sync.WaitGroup
	for _, id := range x.opts.Others(ctx) {
		x.mu.Lock()
		_, begun := x.remoteLocked(id, true)
		x.mu.Unlock()
		if begun {
			asking.Go(func() { x.ask(ctx, id) })
		}
	}
	asking.Wait()
}

// remoteLocked returns what is known of a server. It reports true if its lines
// have to be asked for: it is new, or again is to be asked.
func (x *Exchange) remoteLocked(id string, again bool) (r *remote, begun bool) {
	r = x.remotes[id]
	if r == nil {
		r = &remote{}
		x.remotes[id] = r
		again = true
	}
	r.heard = time.Now()
	if !again && !r.stale || r.asking {
		return r, false
	}
	r.asking, r.stale = true, false
	return r, true
}

// recentQuestion is what one server asks another for.
type recentQuestion struct {
	After uint64 `json:"after"`
}

// ask gets the latest lines of a server, and lets in what came meanwhile.
func (x *Exchange) ask(ctx context.Context, id string) {
	x.mu.Lock()
	after := x.remotes[id].through
	x.mu.Unlock()
	var lines []wireLine
	question, err := json.Marshal(recentQuestion{after})
	if err == nil {
		var answer []byte
		if answer, err = x.opts.Call(ctx, id, MethodRecent, question); err == nil {
			err = json.Unmarshal(answer, &lines)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.remotes[id]
	if err != nil && len(r.held) > 0 && r.through == 0 {
		r.through = r.held[0].Number - 1 // what was before is not known
	}
	for _, l := range append(lines, r.held...) {
		x.takeLocked(r, l)
	}
	r.asking, r.held = false, nil
}

// takeLocked puts a line of another server into the stream, and before it what
// is missing.
func (x *Exchange) takeLocked(r *remote, l wireLine) {
	if l.Number <= r.through {
		return
	}
	if missing := l.Number - r.through - 1; missing > 0 && r.through > 0 {
		x.stream.dropped.Add(int64(missing))
		x.stream.put(Line{From: l.From, Time: l.Time, Level: slog.LevelWarn, Shared: true, Content: dropped(missing)}, false)
	}
	r.through = l.Number
	x.stream.put(l.line(), false)
}

// maxHeld bounds the lines that wait while earlier ones are asked for.
const maxHeld = 1000

func (x *Exchange) lineCame(n cluster.Note) {
	var l wireLine
	if !x.watching() || json.Unmarshal(n.Data, &l) != nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	r, begun := x.remoteLocked(n.From, false)
	switch {
	case begun:
		r.held = append(r.held, l)
		go x.askNew(n.From)
	case !r.asking:
		x.takeLocked(r, l)
	case len(r.held) < maxHeld:
		r.held = append(r.held, l)
	}
}

// askNew asks a server that nobody knew of.
func (x *Exchange) askNew(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), recentTime)
	defer cancel()
	x.ask(ctx, id)
}

func (x *Exchange) statsCame(n cluster.Note) {
	var s events.Stats
	if x.watching() && json.Unmarshal(n.Data, &s) == nil {
		x.opts.Stats(s)
	}
}

// announced notes that another server has watchers.
func (x *Exchange) announced() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.watched = time.Now().Add(watchTime)
}

// Share sends a line of this server to the others, if any of them watches and
// not too much was sent. It does not log.
func (x *Exchange) Share(l Line) {
	if l.Own == 0 || !x.mayShare(len(l.Content)) {
		return
	}
	if data, err := json.Marshal(l.wire()); err == nil {
		x.opts.Notes.Send(cluster.Note{Topic: noteLine, Data: data})
	}
}

func (x *Exchange) mayShare(size int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	if now.After(x.watched) {
		return false
	}
	if now.Sub(x.second) >= time.Second {
		x.second, x.lines, x.bytes = now, 0, 0
	}
	if x.lines >= maxLines || x.bytes+size > maxBytes {
		return false
	}
	x.lines++
	x.bytes += size
	return true
}

// ShareStats sends the numbers of this server to the others, if any of them
// watches.
func (x *Exchange) ShareStats(s events.Stats) {
	x.mu.Lock()
	watched := time.Now().Before(x.watched)
	x.mu.Unlock()
	if !watched {
		return
	}
	if data, err := json.Marshal(s); err == nil {
		x.opts.Notes.Send(cluster.Note{Topic: noteStats, Data: data})
	}
}

// Recent answers another server that asks for the latest lines of this one.
func (x *Exchange) Recent(_ context.Context, question []byte) ([]byte, error) {
	var q recentQuestion
	if err := json.Unmarshal(question, &q); err != nil {
		return nil, err
	}
	x.announced() // who asks watches
	all, _ := x.stream.Since(0)
	lines, size := []wireLine{}, 0
	for i := len(all) - 1; i >= 0 && len(lines) < maxRecent; i-- {
		l := all[i]
		if l.Own <= q.After {
			continue // of another, or known
		}
		if size += len(l.Content) + 200; size > maxRecentBytes {
			break
		}
		lines = append(lines, l.wire())
	}
	slices.Reverse(lines)
	return json.Marshal(lines)
}
