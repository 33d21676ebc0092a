package enginetest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// ends are how runs end that do not end by themselves.
func ends(t *testing.T, b *bed) {
	t.Run("stop", func(t *testing.T) {
		t.Parallel()
		b.endBy(t, b.service.Stop, events.RunStopped)
	})
	t.Run("cancel", func(t *testing.T) {
		t.Parallel()
		b.endBy(t, b.service.Cancel, events.RunCancelled)
	})
	t.Run("a request that is running", b.sub(stopRequest))
	t.Run("waiting for people", b.sub(stopWaiting))
	t.Run("time-out", b.sub(timeout))
}

// endBy ends a run in which a node is at work, and tries again.
func (b *bed) endBy(t *testing.T, end func(context.Context, *auth.Identity, workflow.Run) error, want events.RunStatus) {
	r := b.start(t, "s:start\na:effect{\"hold\":true}\nb:effect\ns->a\na->b", nil)
	b.reaches(t, r.ID, "NODE_DISPATCHED a")
	check(t, end(within(t), b.user, r))
	st := b.over(t, r)
	if st.Run.Status != want || strings.Contains(traceOf(st.Log), "NODE_COMPLETED a") || strings.Contains(traceOf(st.Log), " b") {
		t.Errorf("%s\n%s", st.Run.Status, traceOf(st.Log))
	}
	for range 2 {
		if err := end(within(t), b.user, r); !refused(err, events.CodeConflict) {
			t.Errorf("ending what is over: %v", err)
		}
	}
	if again := b.state(t, r.ID); len(again.Log) != len(st.Log) {
		t.Errorf("the log goes on after the end:\n%s", traceOf(again.Log))
	}
}

// stopRequest stops a run whose http node waits for an answer.
func stopRequest(t *testing.T, b *bed) {
	t.Parallel()
	came, gone := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(came)
		<-r.Context().Done()
		close(gone)
	}))
	t.Cleanup(server.Close)
	r := b.start(t, "s:start\nh:http{\"url\":\""+server.URL+"\"}\ns->h", nil)
	ctx := within(t)
	for _, step := range []struct {
		what string
		wait <-chan struct{}
		then func() error
	}{
		{"the request does not come", came, func() error { return b.service.Stop(ctx, b.user, r) }},
		{"the request goes on", gone, func() error { return nil }},
	} {
		select {
		case <-step.wait:
			check(t, step.then())
		case <-ctx.Done():
			t.Fatal(step.what)
		}
	}
	if st := b.over(t, r); st.Run.Status != events.RunStopped {
		t.Error(st.Run.Status)
	}
}

func stopWaiting(t *testing.T, b *bed) {
	t.Parallel()
	r := b.start(t, asking+"s->q", nil)
	id := b.asked(t, r)[0].CollectionRequestID
	check(t, b.service.Stop(within(t), b.user, r))
	if st := b.over(t, r); st.Run.Status != events.RunStopped || len(st.Pending) != 0 {
		t.Errorf("%s, %d requests", st.Run.Status, len(st.Pending))
	}
	if err := b.service.Submit(within(t), b.user, r, workflow.Input{RequestID: id, Data: map[string]any{"name": "x"}, Field: "data"}); !refused(err, events.CodeConflict, events.CodeNotFound) {
		t.Errorf("an input after the stop: %v", err)
	}
}

// timeout is that of the definition; the setup's is the other bound.
func timeout(t *testing.T, b *bed) {
	t.Parallel()
	d := parse(t, "s:start\nd:delay{\"delayMinutes\":10}\ns->d")
	d.Options.TimeoutSeconds = 0.2
	began := time.Now()
	r, err := b.service.Execute(within(t), b.user, b.defineIn(t, b.user, b.tenant, d).ID, nil)
	check(t, err)
	st := b.over(t, r)
	if took := time.Since(began); st.Run.Status != events.RunFailed || !strings.Contains(st.Run.Error, "longer than it may") || took < 200*time.Millisecond {
		t.Errorf("%s %s after %v", st.Run.Status, st.Run.Error, took)
	}
}

// repetition is what comes again because somebody did not hear that it came.
func repetition(t *testing.T, b *bed) {
	t.Parallel()
	ctx := within(t)
	w := b.define(t, "s:start\na:effect\nq:dataCollection{\"outputVariable\":\"q\"}\nz:effect{\"hold\":true}\n"+out("e", "q=q w=ctx.__widgetInput")+"s->a\na->q\nq->z\nz->e")
	r, input := b.newRun(t, w)
	for range 2 {
		check(t, b.subject.Engine.Execute(ctx, r, input))
		check(t, b.subject.Engine.Start(ctx, r))
	}
	id := b.asked(t, r)[0].CollectionRequestID
	for _, o := range []interpreter.Order{
		{Do: interpreter.WidgetInput, Data: map[string]any{"n": 1}, ID: "first"},
		{Do: interpreter.Submit, RequestID: id, Data: "one", Field: "data", ID: "second"},
	} {
		o.RunID = r.ID
		check(t, b.subject.Engine.Deliver(ctx, r, o))
		o.Data = map[string]any{"n": 2}
		check(t, b.subject.Engine.Deliver(ctx, r, o)) // the same, as far as anybody knows
	}
	b.world.release(r.ID)
	st := b.over(t, r)
	if got := output(st); got != `{"q":"one","w":{"n":1}}` || strings.Count(traceOf(st.Log), "NODE_DISPATCHED a") != 1 {
		t.Errorf("%s\n%s", got, traceOf(st.Log))
	}
	check(t, b.subject.Engine.Start(ctx, r))
	check(t, b.subject.Engine.Execute(ctx, r, input))

	// What ends a run, too.
	r = b.start(t, "s:start\nq:dataCollection\ns->q", nil)
	b.asked(t, r)
	stop := interpreter.Order{RunID: r.ID, Do: interpreter.Stop, ID: "stop"}
	check(t, b.subject.Engine.Deliver(ctx, r, stop))
	check(t, b.subject.Engine.Deliver(ctx, r, stop))
	b.over(t, r)
}
