package journal_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/journal"
)

// While all slots are taken, runs are begun, take input, are stopped and are
// taken up; only what is to be computed waits.
func TestNobodyWaitsForSlotsWithARunInHand(t *testing.T) {
	var asked sync.WaitGroup
	asked.Add(1)
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Done()
		<-release
	}))
	defer slow.Close()
	f := newFixture(t)
	f.build(f.db.Workflows(), journal.Options{Parallel: 1})
	waiting := f.run(linear(t, startNode, form, transform("1", "x")), nil)
	stopped := f.run(linear(t, startNode, form, transform("1", "x")), nil)
	calling := f.run(linear(t, startNode, `{"type":"http","data":{"url":"`+slow.URL+`"}}`), nil)
	asked.Wait()

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var begun workflow.Run
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f.svc.Submit(ctx, member, waiting, workflow.Input{Data: fine}); err != nil {
			t.Error(err)
		}
		begun = f.run(linear(t, startNode, transform("1", "x")), nil)
		if err := f.eng.Resume(ctx); err != nil {
			t.Error(err)
		}
		for _, run := range []workflow.Run{stopped, begun} {
			if err := f.svc.Stop(ctx, member, run); err != nil {
				t.Error(err)
			}
		}
	}()
	select {
	case <-done:
	case <-ctx.Done():
		t.Error("somebody waits for a slot")
	}
	if history, err := f.svc.History(t.Context(), waiting, 0); err != nil || len(history.Pending) != 0 || history.Context["answer"] == nil || history.Context["x"] != nil {
		t.Errorf("%+v %v", history.Context, err)
	}
	close(release)
	<-done
	f.finish(waiting)
	f.finish(calling)
	eventually.True(t, func() bool { return f.eng.Counts().Live == 0 })
}
