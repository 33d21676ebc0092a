package monitor

import (
	"context"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/every"
)

// StatsRoom is the room in which numbers are published.
const StatsRoom events.Room = "stats"

// RunStats publishes the numbers of the server until ctx ends. They may be
// dropped for who is behind: the next are newer. publish must not log.
func RunStats(ctx context.Context, interval time.Duration, publish func(room events.Room, p events.Payload), stats func() events.Stats) error {
	every.Do(ctx, interval, func(time.Time) { publish(StatsRoom, stats()) })
	return nil
}
