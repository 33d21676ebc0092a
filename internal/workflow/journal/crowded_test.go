package journal_test

import (
	"context"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/workflow"
)

// While a tenant computes as much as it may, its runs are begun, take input,
// are stopped and looked at; only what is to be computed waits.
func TestNobodyWaitsForSlotsWithARunInHand(t *testing.T) {
	f := newFixture(t)
	waiting := f.run(linear(t, startNode, form, transform("1", "x")), nil)
	stopped := f.run(linear(t, startNode, form, transform("1", "x")), nil)
	release := f.eng.Occupy(t.Context(), "acme")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f.svc.Submit(ctx, member, waiting, workflow.Input{Data: fine}); err != nil {
			t.Error(err)
		}
		begun := f.run(linear(t, startNode, transform("1", "x")), nil)
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
	if st, err := f.svc.State(t.Context(), waiting); err != nil || len(st.Pending) != 0 || st.Context["answer"] == nil || st.Context["x"] != nil {
		t.Errorf("%+v %v", st.Context, err)
	}
	release()
	<-done
	f.finish(waiting)
}
