package socketio

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster/clustertest"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/websocket"
)

// Every tenth of the window has its share, whatever the order.
func TestDepartures(t *testing.T) {
	const n = 1000
	links := make([]*link, n)
	for i := range links {
		links[i] = &link{}
	}
	all := departures(links, 10*time.Second)
	var tenths [10]int
	seen := make(map[*link]bool)
	for _, d := range all {
		tenths[d.after/time.Second]++
		seen[d.link] = true
	}
	if len(seen) != n || slices.Min(tenths[:]) < n/10-1 || slices.Max(tenths[:]) > n/10+1 {
		t.Errorf("%d of %d, in tenths: %v", len(seen), n, tenths)
	}
	if len(departures(nil, time.Second)) != 0 {
		t.Error("somebody departs from nowhere")
	}
}

// gone tells when the server closes the connection of a client.
func (c *traveller) gone() <-chan time.Time {
	at := make(chan time.Time, 1)
	go func() {
		for {
			_, _, err := c.ReadMessage()
			var e *websocket.CloseError
			if errors.As(err, &e) && e.Code == websocket.StatusGoingAway {
				at <- time.Now()
			}
			if err != nil {
				close(at)
				return
			}
		}
	}()
	return at
}

// Clients are sent away over the whole window, who is busy last, and all can go
// on elsewhere when the server has ended.
func TestDrain(t *testing.T) {
	const n, window = 200, time.Second
	net := clustertest.New(true)
	a := station(t, net.Bus(), Options{}, recoverable())
	b := station(t, net.Bus(), Options{}, recoverable())
	clients := make([]*traveller, n)
	ends := make([]<-chan time.Time, n)
	for i := range clients {
		clients[i], _ = a.travel(nil, "ann")
		if i == 0 {
			clients[i].join("turn")
		}
		ends[i] = clients[i].gone()
	}
	var over atomic.Bool
	drained := make(chan error)
	began := time.Now()
	go func() {
		drained <- a.srv.Drain(t.Context(), DrainOptions{Window: window, Busy: func(namespace string, rooms []events.Room) bool {
			return !over.Load() && namespace == "/" && slices.Contains(rooms, "turn")
		}})
	}()
	eventually.True(t, func() bool {
		_, res, err := websocket.Dial(t.Context(), a.url+"?EIO=4&transport=websocket", nil)
		return err != nil && res != nil && res.StatusCode == 503
	})
	var tenths [10]int
	for i := 1; i < n; i++ {
		at, ok := <-ends[i]
		if !ok {
			t.Fatal("the server did not say that it goes away")
		}
		tenths[min(9, 10*at.Sub(began)/window)]++
	}
	if most := slices.Max(tenths[:]); most > n/2 {
		t.Errorf("%d of %d at once: %v", most, n, tenths)
	}
	if took := time.Since(began); took < window*8/10 {
		t.Errorf("all were sent away within %v of %v", took, window)
	}
	select {
	case <-ends[0]:
		t.Error("a client was sent away in the middle of a turn")
	default:
	}
	over.Store(true)
	if _, ok := <-ends[0]; !ok {
		t.Error("the server did not say that it goes away after the turn")
	}
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	if err := a.srv.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		if _, recovered := b.travel(c, "ann"); !recovered {
			t.Fatal("a client could not go on elsewhere")
		}
	}
}

// Who is busy for ever is not waited for.
func TestDrainHasAnEnd(t *testing.T) {
	f := newRecovering(t, time.Minute)
	c, _ := f.travel(nil, "ann")
	end := c.gone()
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan struct{}, 1)
	drained := make(chan error)
	go func() {
		drained <- f.srv.Drain(ctx, DrainOptions{Busy: func(string, []events.Room) bool {
			select {
			case asked <- struct{}{}:
			default:
			}
			return true
		}})
	}()
	<-asked
	cancel()
	if err := <-drained; !errors.Is(err, context.Canceled) {
		t.Errorf("drained: %v", err)
	}
	if err := f.srv.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, ok := <-end; !ok {
		t.Error("the server did not say that it goes away")
	}
}
