package chat

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// TestStreams lets clients lose their connections while many answers are given,
// by the only instance, which has SQLite.
func TestStreams(t *testing.T) { streams(t, 1) }

// TestStreamsOnTwo does it on two instances, with clients that come back to the
// other.
func TestStreamsOnTwo(t *testing.T) { streams(t, 2) }

func streams(t *testing.T, instances int) {
	s := set(t, options(t, instances), "")
	rooms, length, every := size(20, 200), size(100, 500), size(10, 20)
	var speakers []*client
	for i := range rooms {
		speakers = append(speakers, s.client("", i, way(i%int(ways)), s.moving))
	}
	s.awaitEntered(speakers...)
	for i, c := range speakers {
		s.client(c.room(), i+1, way((i+1)%int(ways)), s.moving)
	}
	s.awaitEntered(s.clients...)
	rounds := []bool{true}
	if *full {
		rounds = []bool{false, true} // what it costs when nobody is cut, first
	}
	var answers []uint64
	for _, cuts := range rounds {
		before, began, pieces := s.cost(), time.Now(), s.pieces()
		s.cutting.Store(cuts)
		if cuts { // from the first moment
			s.cutAll()
		}
		answers = append(answers, s.sayAll(speakers, fmt.Sprintf("stream %d %d", length, every)))
		latest := answers[len(answers)-1]
		s.await("the answer", s.clients, func(v *view) bool { return v.through() >= latest })
		took := time.Since(began)
		s.cutting.Store(false)
		t.Logf("cuts: %v. %d answers of %d tokens in %v, %d pieces to %d clients; %s",
			cuts, rooms, length, took.Round(10*time.Millisecond), s.pieces()-pieces, len(s.clients), before.perToken(s.cost(), rooms*length))
	}
	s.compare(s.clients)
	heard := 0
	for _, c := range s.clients {
		c.look(func(v *view) {
			for _, at := range answers {
				if v.log[at] != tokens(length) {
					s.fail("text", "way %d has %q as the answer", c.way, v.log[at])
				}
				if a := v.answers[at-1]; a != nil && a.ends == 1 {
					heard++
				}
			}
		})
	}
	t.Logf("%d connections, %d of them recovered, %d cut; %d of %d answers were heard to the end in pieces, the others came whole to who was away then",
		s.visits.Load(), s.recovered.Load(), s.cuts.Load(), heard, len(answers)*len(s.clients))
}

// moving lets a client come back to another instance each time.
func (s *stage) moving(c *client) { c.moves = true }

// cutAll cuts all connections that there are, each when its time has come.
func (s *stage) cutAll() {
	rng := rand.New(rand.NewPCG(*seed, 0))
	for _, c := range s.clients {
		c.mu.Lock()
		conn := c.conn
		c.mu.Unlock()
		if conn != nil {
			time.AfterFunc(life(rng), func() { c.cut(conn) })
		}
	}
}

// pieces is how many all clients have got.
func (s *stage) pieces() (n int) {
	for _, c := range s.clients {
		c.look(func(v *view) { n += v.deltas })
	}
	return n
}

// sayAll lets clients say something at once, and returns the number of the
// answer, which is the same in all conversations.
func (s *stage) sayAll(speakers []*client, text string) (answer uint64) {
	s.t.Helper()
	var all sync.WaitGroup
	offsets := make([]uint64, len(speakers))
	for i, c := range speakers {
		all.Go(func() { offsets[i] = c.say(text) })
	}
	all.Wait()
	for _, o := range offsets {
		if o != offsets[0] {
			s.fail("say", "messages have the numbers %d and %d", offsets[0], o)
		}
	}
	return offsets[0] + 1
}

// TestConnectedInstanceDies kills the instance that clients are connected to,
// while another answers.
func TestConnectedInstanceDies(t *testing.T) {
	s := set(t, options(t, 2), "")
	rooms, rounds := size(3, 20), size(1, 5)
	var speakers []*client
	for range rooms {
		speakers = append(speakers, s.client("", 0, resumes))
	}
	s.awaitEntered(speakers...)
	for i, c := range speakers {
		for w := range ways {
			s.client(c.room(), 1, w, func(c *client) { c.moves = i%2 == 0 }) // a half comes back to the same
		}
	}
	s.awaitEntered(s.clients...)
	for range rounds {
		answer := s.sayAll(speakers, "stream 200 10")
		s.await("a piece", s.clients, func(v *view) bool {
			a := v.answers[answer-1]
			return a != nil && len(a.text) > 50 || v.through() >= answer
		})
		s.Instances[1].Kill()
		s.Instances[1].Start()
		s.await("the answer", s.clients, func(v *view) bool { return v.log[answer] != "" })
		for _, c := range s.clients {
			c.look(func(v *view) {
				if v.log[answer] != tokens(200) {
					s.fail("text", "way %d has %q as the answer", c.way, v.log[answer])
				}
			})
		}
		s.Instances[1].AwaitReady()
	}
	s.compare(s.clients)
	t.Logf("%d times, %d clients of %d conversations, with %d connections, %d of them recovered", rounds, len(s.clients), rooms, s.visits.Load(), s.recovered.Load())
}
