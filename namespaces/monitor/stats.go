package monitor

import (
	"context"
	"time"

	"github.com/roomcast/roomcast/events"
)

const statsRoom events.Room = "stats"

// RunStats publishes the numbers of the server until ctx ends.
func RunStats(ctx context.Context, every time.Duration, publish Publisher, stats func() events.Stats) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			publish(statsRoom, 0, stats())
		}
	}
}
