package jitter

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/bench"
	"github.com/roomcast/roomcast/internal/redis/redistest"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
	"github.com/roomcast/roomcast/test/fleet"
)

var (
	full     = flag.Bool("full", false, "1,000 clients for five minutes, one server after the other, instead of 50 for a moment")
	duration = flag.Duration("duration", 5*time.Minute, "of each run of the full form")
	out      = flag.String("out", "", "Markdown file to write the table to")
)

// A subject is a kind of server under the same load.
type subject struct {
	name  string
	short bool // part of the short form
	start func(t *testing.T) bench.JitterOptions
	// promise is what it has to keep.
	promise promise
}

// promise says what of the result must be so.
type promise int

const (
	nothing   promise = iota
	delivered         // what is delivered comes once and in order
	kept              // everything is delivered
	recovered         // and by connection state recovery
)

func subjects() []subject {
	return []subject{
		{"socket.io", true, startNode(), delivered},
		{"socket.io with recovery", true, startNode("--recovery"), delivered},
		{"roomcast, one instance", true, startFleet(1), recovered},
		{"roomcast, two instances", true, startFleet(2), recovered},
		{"roomcast, two instances, clients before 4.6", true, withSince(startFleet(2)), kept},
		{"socket.io with recovery, half of the cuts silent", false, silent(startNode("--recovery")), delivered},
		{"roomcast, two instances, half of the cuts silent", true, silent(startFleet(2)), recovered},
	}
}

func startNode(args ...string) func(*testing.T) bench.JitterOptions {
	return func(t *testing.T) bench.JitterOptions { return fleet.NodeLoad(fleet.StartNode(t, args...)) }
}

// startFleet starts instances that each client visits in turn.
func startFleet(instances int) func(*testing.T) bench.JitterOptions {
	return func(t *testing.T) bench.JitterOptions {
		o := fleet.Options{Instances: instances}
		if instances > 1 {
			o.Redis, o.Store = redistest.Start(t, redistest.Options{}).URL(), postgrestest.URL(t)
		}
		return fleet.Start(t, o).Load()
	}
}

func withSince(start func(*testing.T) bench.JitterOptions) func(*testing.T) bench.JitterOptions {
	return func(t *testing.T) bench.JitterOptions {
		o := start(t)
		o.NoRecovery = true
		return o
	}
}

func silent(start func(*testing.T) bench.JitterOptions) func(*testing.T) bench.JitterOptions {
	return func(t *testing.T) bench.JitterOptions {
		o := start(t)
		o.SilentShare = 0.5
		return o
	}
}

func TestJitter(t *testing.T) {
	var rows []row
	for _, s := range subjects() {
		if !*full && !s.short {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			if !*full {
				t.Parallel()
			}
			r := s.measure(t)
			t.Logf("%+v", r)
			s.check(t, r)
			if *full {
				rows = append(rows, row{s.name, r})
			}
		})
	}
	if !*full {
		return
	}
	compare(t, rows)
	if *out != "" {
		if err := os.WriteFile(*out, []byte(report(rows)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (s subject) measure(t *testing.T) bench.JitterResult {
	o := s.start(t)
	o.Seed = 1
	if *full {
		o.Duration = *duration
	} else {
		o.Clients, o.Duration, o.Every, o.Away = 50, 5*time.Second, 2*time.Second, 300*time.Millisecond
		o.PollingShare = 0.1
	}
	r, err := bench.Jitter(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s subject) check(t *testing.T, r bench.JitterResult) {
	if r.Cuts < int64(r.Clients) || r.Absent > 0 {
		t.Errorf("%d cuts of %d clients; %d never returned", r.Cuts, r.Clients, r.Absent)
	}
	if s.promise >= delivered && r.Doubled+r.Disordered > 0 {
		t.Errorf("%d came twice and %d out of order", r.Doubled, r.Disordered)
	}
	if s.promise >= kept && r.Delivered != r.Expected {
		t.Errorf("%d of %d delivered; %d were told to be missing", r.Delivered, r.Expected, r.Told)
	}
	if s.promise >= recovered && r.Unrecovered > 0 {
		t.Errorf("%d sessions were not recovered", r.Unrecovered)
	}
	if s.promise >= kept && *full && r.CaughtUp.P99 >= 100 {
		t.Errorf("caught up after %.1f ms (p99), want below 100", r.CaughtUp.P99)
	}
}
