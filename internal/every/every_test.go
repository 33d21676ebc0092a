package every

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 65*time.Second)
		defer cancel()
		var at []time.Duration
		Do(ctx, 10*time.Second, func(due time.Time) {
			if at = append(at, time.Since(began)); len(at) == 2 {
				<-time.After(25 * time.Second) // past two more
			}
			if late := time.Since(due); late < 0 || late > 25*time.Second {
				t.Errorf("call %d is told that it was due %v ago", len(at), late)
			}
		})
		want := []time.Duration{10 * time.Second, 20 * time.Second, 45 * time.Second, 50 * time.Second, 60 * time.Second}
		if !slices.Equal(at, want) {
			t.Errorf("called after %v, want %v", at, want)
		}
		if got := time.Since(began); got != 65*time.Second {
			t.Errorf("it ended after %v", got)
		}
	})
}
