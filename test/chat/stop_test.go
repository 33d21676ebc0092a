package chat

import (
	"sync"
	"testing"
	"time"
)

// TestStop stops answers beside others that go on, and measures until when
// something of them comes.
func TestStop(t *testing.T) {
	s := set(t, options(t, 1), "")
	beside, stoppers, rounds := size(5, 50), size(3, 5), size(5, 100)
	var others, stopped, devices []*client
	for range beside {
		others = append(others, s.client("", 0, anew))
	}
	for range stoppers {
		stopped = append(stopped, s.client("", 0, anew))
	}
	s.awaitEntered(s.clients...)
	for _, c := range stopped {
		devices = append(devices, s.client(c.room(), 0, anew))
	}
	s.awaitEntered(devices...)
	background := s.sayAll(others, "stream 100000 20") // for longer than this takes
	s.await("the beginning of the others", others, func(v *view) bool { return v.answers[background-1] != nil && v.answers[background-1].text != "" })

	var mu sync.Mutex
	var silent, ended []time.Duration
	var all sync.WaitGroup
	for i, c := range stopped {
		all.Go(func() {
			for n := range rounds {
				last, end := s.stop([]*client{c, devices[i]}, n)
				mu.Lock()
				silent, ended = append(silent, last), append(ended, end)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	t.Logf("%d stops beside %d answers; until the last piece: %s", len(silent), beside, times(silent))
	t.Logf("until the end was told: %s", times(ended))
	if p99 := quantile(silent, 0.99); *full && p99 > 100*time.Millisecond {
		t.Errorf("p99 of stop to silence is %v", p99)
	}
	for _, c := range others {
		c.look(func(v *view) {
			if a := v.answers[background-1]; a.ends > 0 {
				s.fail("others", "an answer ended as %q that nobody had stopped", a.finish)
			}
		})
	}
	for _, c := range others { // the server would wait for them
		c.stop()
	}
	s.compare(s.clients)
}

// stop says something, stops the answer from another device, and returns how
// long after that the last piece and the end came to any.
func (s *stage) stop(tabs []*client, n int) (last, end time.Duration) {
	text := "stream 100000 10"
	early := n%5 == 4 // before anything was said
	if early {
		text = "stream 100000 60000"
	}
	message := tabs[0].say(text)
	tokens := 5 + n%20
	s.await("enough to stop", tabs, func(v *view) bool {
		a := v.answers[message]
		return a != nil && (early || a.units > tokens)
	})
	at := time.Now()
	if !tabs[1].stop() {
		s.fail("stop", "there was nothing to stop")
	}
	s.await("the end", tabs, func(v *view) bool { return v.log[message+1] != "" && !v.typing })
	for _, c := range tabs {
		c.look(func(v *view) {
			a := v.answers[message]
			if a.finish != "stopped" || early != (a.text == "Stopped.") {
				s.fail("stop", "%q ended as %q", a.text, a.finish)
			}
			last, end = max(last, a.latest.Sub(at)), max(end, a.ended.Sub(at))
		})
	}
	return last, end
}

// stop ends the answer in the client's conversation.
func (c *client) stop() (stopped bool) {
	var ack struct{ OK, Stopped bool }
	c.call("ai_chat_stop", map[string]any{"chatRoomID": c.room()}, &ack)
	if !ack.OK {
		c.stage.fail("stop", "was refused")
	}
	return ack.Stopped
}
