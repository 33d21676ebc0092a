package rawws

import (
	"sync"
	"time"

	"github.com/roomcast/roomcast/auth"
)

// Limits bound what clients may do. They are the documented ones, by default.
type Limits struct {
	// PerAddress bounds the connections of one address. Default 100.
	PerAddress int
	// MaxMessage bounds one message in bytes. Default 64 KiB.
	MaxMessage int
	// SendLimit bounds what a client has not read, in bytes. Default 1 MiB.
	SendLimit int
	// Rate and Burst bound the frames of one connection: so many in a second, and
	// at once. Default 50 and 100.
	Rate, Burst int
	// Ping is how often clients are asked whether they are there. Default 30 s.
	Ping time.Duration
	// Idle is how long a client may say nothing at all, its pongs included unless
	// IdleData is set. Default 5 min.
	Idle     time.Duration
	IdleData bool
	// Auth is how long a client may take to say who it is. Default 10 s.
	Auth time.Duration
	// Silence is how long a client with a good token may take to say something
	// before it is taken for one that only listens. Default 5 s.
	Silence time.Duration
}

func (l Limits) withDefaults() Limits {
	set(&l.PerAddress, 100)
	set(&l.MaxMessage, 64<<10)
	set(&l.SendLimit, 1<<20)
	set(&l.Rate, 50)
	set(&l.Burst, 100)
	set(&l.Ping, 30*time.Second)
	set(&l.Idle, 5*time.Minute)
	set(&l.Auth, 10*time.Second)
	set(&l.Silence, 5*time.Second)
	return l
}

func set[T int | time.Duration](v *T, standard T) {
	if *v <= 0 {
		*v = standard
	}
}

// addresses counts connections. With IPv6 a network is one address: everybody
// has one.
type addresses struct {
	most int

	mu sync.Mutex
	n  map[string]int
}

// enter counts a connection in, unless there are too many of its address.
func (a *addresses) enter(address string) bool {
	address = auth.Network(address)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n[address] >= a.most {
		return false
	}
	if a.n == nil {
		a.n = make(map[string]int)
	}
	a.n[address]++
	return true
}

func (a *addresses) leave(address string) {
	address = auth.Network(address)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n[address]--; a.n[address] <= 0 {
		delete(a.n, address)
	}
}

// A bucket lets so many frames pass in a second, and at once. It is for one
// goroutine.
type bucket struct {
	level float64
	at    time.Time
}

func (b *bucket) take(now time.Time, rate, burst int) bool {
	if b.at.IsZero() {
		b.level = float64(burst)
	} else {
		b.level = min(float64(burst), b.level+now.Sub(b.at).Seconds()*float64(rate))
	}
	b.at = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}
