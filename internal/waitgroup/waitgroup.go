// Package waitgroup waits for a sync.WaitGroup no longer than somebody has time.
package waitgroup

import (
	"context"
	"sync"
)

// Wait returns nil when the group has no more to do, or the error of ctx when
// that ends first. A goroutine goes on waiting then, as long as it takes.
func Wait(ctx context.Context, wg *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
