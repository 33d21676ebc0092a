package waitgroup

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		if err := Wait(t.Context(), &wg); err != nil {
			t.Error("nothing to wait for: ", err)
		}
		wg.Go(func() { <-time.After(time.Minute) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := Wait(ctx, &wg); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("it has a second, and waited %v: %v", time.Since(began), err)
		}
		if err := Wait(t.Context(), &wg); err != nil || time.Since(began) != time.Minute {
			t.Errorf("it has time, and waited %v: %v", time.Since(began), err)
		}
	})
}
