package websocket

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Whatever is paused, slow, large or in pieces: every message is handled once,
// in order, and every connection ends.
func TestEverythingAtOnce(t *testing.T) {
	var mu sync.Mutex
	next := make(map[*Conn]int)
	dial, _, _ := oneShard(t, Options{HandoverAfter: time.Millisecond, SendLimit: 64 << 20}, func(c *Conn, turn *Turn, data string) {
		text, _, _ := strings.Cut(data, ":")
		n, _ := strconv.Atoi(text)
		mu.Lock()
		if n != next[c] {
			t.Errorf("got %d, want %d", n, next[c])
		}
		next[c] = n + 1
		mu.Unlock()
		switch rand.IntN(40) {
		case 0:
			turn.Begin()
			if rand.IntN(2) == 0 { // else it is over before anybody looks
				until(turn.lost)
			}
			defer turn.End()
		case 1:
			c.Pause()
			go c.Resume()
		case 2:
			c.Pause()
			time.AfterFunc(time.Duration(rand.IntN(1000))*time.Microsecond, c.Resume)
		}
		turn.Send(AppendFrame(nil, OpText, []byte(text)))
	})
	var all sync.WaitGroup
	for range 24 {
		client, _, h := dial()
		all.Go(func() {
			const n = 600
			go sendNumbered(client, n)
			got := make(map[string]bool)
			client.SetDeadline(time.Now().Add(30 * time.Second))
			for len(got) < n {
				_, m, err := client.ReadMessage()
				if err != nil || got[string(m)] {
					t.Errorf("after %d: %s, %v", len(got), m, err)
					break
				}
				got[string(m)] = true
			}
			client.Close()
			<-h.closed
		})
	}
	all.Wait()
}

// sendNumbered sends n messages of all sizes, some of them together.
func sendNumbered(client *Client, n int) {
	var b []byte
	for i := range n {
		size := rand.IntN(60)
		if rand.IntN(50) == 0 {
			size = rand.IntN(150_000)
		}
		b = append(b, frame(fin|byte(OpText), strconv.Itoa(i)+":"+strings.Repeat("p", size))...)
		if rand.IntN(10) == 0 || i == n-1 {
			client.Write(b)
			b = nil
		}
	}
}
