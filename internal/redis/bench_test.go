package redis

import (
	"fmt"
	"testing"

	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/redis/redistest"
)

// BenchmarkPublish is one small publication, from one bus to another.
func BenchmarkPublish(b *testing.B) {
	for _, adapter := range adapters {
		b.Run(adapter, func(b *testing.B) {
			s := redistest.Start(b, redistest.Options{})
			from, to := runBench(b, s, adapter), runBench(b, s, adapter)
			m := say("a small publication")
			b.ResetTimer()
			for i := range b.N {
				from.Publish(m)
				if i%1000 == 999 { // so that nothing is lost
					eventually.True(b, func() bool { return from.Status().Waiting < 2000 })
				}
			}
			eventually.True(b, func() bool { return to.Status().Received >= int64(b.N) }, func() string { return fmt.Sprintf("%+v %+v %+v", from.Status(), to.Status(), to.Counters()) })
		})
	}
}

type nobody struct{}

func (nobody) Receive(*cluster.Message)          {}
func (nobody) Respond(string, *cluster.Response) {}
func (nobody) Resync()                           {}

func runBench(b *testing.B, s *redistest.Server, adapter string) *Bus {
	o := settings(s, adapter)
	o.Stream.MaxLen = 1_000_000 // nobody is so far behind
	bus, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	bus.Open([]string{"/"}, nobody{})
	ended := make(chan error, 1)
	go func() { ended <- bus.Run(b.Context()) }()
	b.Cleanup(func() { <-ended })
	eventually.True(b, func() bool { return bus.Status().Up })
	return bus
}
