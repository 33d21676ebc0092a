package namespaces

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lockedBuffer may be written by timers while it is read.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A flood of events that are refused leaves a few lines and a count.
func TestRefusalsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		r := NewRouter(Namespace{Name: "/"}, RouterOptions{Contract: lax{}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		lines := func() int { return strings.Count(log.String(), "msg=\"event refused\"") }
		flood, quiet := &recorder{}, &recorder{id: "quiet"}
		for range 1000 {
			r.Dispatch(t.Context(), flood, "nonsense", nil, true)
		}
		r.Dispatch(t.Context(), quiet, "nonsense", nil, true)
		if lines() != refusalLines+1 {
			t.Errorf("%d lines at once", lines())
		}
		time.Sleep(refusalWindow)
		synctest.Wait()
		if !strings.Contains(log.String(), "not logged one by one") || !strings.Contains(log.String(), "count=990") || strings.Count(log.String(), "count=") != 1 {
			t.Errorf("no count in %.300s", log.String()[max(len(log.String())-300, 0):])
		}
		if len(r.refused.count) != 0 {
			t.Errorf("kept %v", r.refused.count)
		}
		r.Dispatch(t.Context(), flood, "nonsense", nil, true)
		if lines() != refusalLines+2 {
			t.Errorf("%d lines in the next second", lines())
		}
		time.Sleep(refusalWindow)
		synctest.Wait()
	})
}
