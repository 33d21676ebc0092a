package faults

import (
	"testing"
	"time"
)

// TestRollingRestart restarts one instance after the other, each when the one
// before is ready again.
func TestRollingRestart(t *testing.T) {
	s := set(t, 3)
	s.calm()
	s.behindProxy(t)
	r := s.during(t, length(2*time.Minute, 15*time.Second), func() {
		for _, in := range s.Instances {
			took := in.Terminate()
			in.Start()
			in.AwaitReady()
			t.Logf("%s ended within %v and is back", in.Name, took.Round(time.Millisecond))
		}
	})
	check(t, r)
	if r.Told > 0 {
		t.Errorf("%d are missing, though they were told", r.Told)
	}
	if r.Drops < int64(r.Clients) {
		t.Errorf("%d connections were lost: not all of %d clients have met a restart", r.Drops, r.Clients)
	}
}

// TestKill kills an instance in the middle of everything, and starts it again
// some time later.
func TestKill(t *testing.T) {
	s := set(t, 2)
	s.behindProxy(t)
	r := s.during(t, length(time.Minute, 12*time.Second), func() {
		in := s.Instances[0]
		in.Kill()
		lasts(t, length(15*time.Second, 3*time.Second)) // this is how long it is dead
		in.Start()
		in.AwaitReady()
	})
	check(t, r)
}
