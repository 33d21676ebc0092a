// Package every does something again and again.
package every

import (
	"context"
	"time"
)

// Do calls fn at every interval, first when one has passed, until ctx ends.
// Calls do not overlap: what is due while fn runs comes once after it. fn is
// told when it was due, which in a process that stood still is long ago.
func Do(ctx context.Context, interval time.Duration, fn func(due time.Time)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case due := <-tick.C:
			fn(due)
		}
	}
}
