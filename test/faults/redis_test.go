package faults

import (
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/redis/redistest"
	"github.com/roomcast/roomcast/test/fleet"
)

// away is how long Redis is away.
func away() time.Duration { return length(30*time.Second, 3*time.Second) }

func TestRedisKilled(t *testing.T) {
	s := set(t, 2)
	check(t, s.during(t, length(90*time.Second, 12*time.Second), func() {
		s.redis.Kill()
		lasts(t, away())
		s.redis.Restart()
	}))
}

// TestRedisPaused stops Redis as a machine that is too busy does: connections
// stay open and nothing is answered.
func TestRedisPaused(t *testing.T) {
	s := set(t, 2)
	check(t, s.during(t, length(90*time.Second, 12*time.Second), func() {
		s.redis.Pause()
		lasts(t, away())
		s.redis.Resume()
	}))
}

// TestRedisFailedOver kills the master; what its replica has not got is gone.
// Clients of Redis find the new master at the same address.
func TestRedisFailedOver(t *testing.T) {
	beside(t)
	master := redistest.Start(t, redistest.Options{})
	replica := redistest.StartReplica(t, master, redistest.Options{})
	address := fleet.StartProxy(t, master.URL())
	s := setOn(t, 2, master, address.URL)
	check(t, s.during(t, length(time.Minute, 12*time.Second), func() {
		master.Kill()
		lasts(t, length(5*time.Second, time.Second)) // until somebody decides
		replica.Promote()
		address.Target(replica.URL())
	}))
}
