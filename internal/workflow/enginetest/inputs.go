package enginetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
)

const asking = `s:start
	q:dataCollection{"title":"Who","formSchema":{"type":"object","required":["name"],"properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":1}}},"outputVariable":"q"}
	`

// inputs are what people give to runs.
func inputs(t *testing.T, b *bed) {
	t.Run("wrong, then right", b.sub(wrongThenRight))
	t.Run("two at once", b.sub(twoAtOnce))
	t.Run("two requests", b.sub(twoRequests))
	t.Run("too large", b.sub(tooLarge))
	t.Run("expired", b.sub(expiredInput))
	t.Run("of a widget", b.sub(widgetInput))
}

func wrongThenRight(t *testing.T, b *bed) {
	t.Parallel()
	r := b.start(t, asking+out("e", "name=q.name")+"s->q\nq->e", nil)
	pending := b.asked(t, r)
	if len(pending) != 1 || pending[0].NodeID != "q" || pending[0].CollectionConfig.Title != "Who" {
		t.Fatalf("pending: %+v", pending)
	}
	id := pending[0].CollectionRequestID
	for field, data := range map[string]any{"data.name": map[string]any{"name": 7}, "data.age": map[string]any{"name": "x", "age": 0}, "data": "x"} {
		err := b.service.Submit(within(t), b.user, r, workflow.Input{RequestID: id, Data: data, Field: "data"})
		var e *events.Error
		if !errors.As(err, &e) || e.Code != events.CodeValidation || e.Field != field {
			t.Errorf("%v: got %v, want an error of %s", data, err, field)
		}
	}
	if err := b.service.Submit(within(t), b.user, r, workflow.Input{RequestID: "none", Data: map[string]any{"name": "x"}, Field: "data"}); !refused(err, events.CodeNotFound) {
		t.Errorf("an unknown request: %v", err)
	}
	found, err := b.service.RunOfRequest(within(t), b.user, b.tenant, id)
	if err != nil || found.ID != r.ID {
		t.Errorf("the run of the request is %q, %v", found.ID, err)
	}
	check(t, b.service.Submit(within(t), b.user, r, workflow.Input{RequestID: id, Data: map[string]any{"name": "Ada", "age": 36}, Field: "data"}))
	st := b.over(t, r)
	if got := output(st); got != `{"name":"Ada"}` || st.Run.Status != events.RunCompleted || len(st.Pending) != 0 {
		t.Errorf("%s %s, %d requests are left", st.Run.Status, got, len(st.Pending))
	}
	if err := b.service.Submit(within(t), b.user, r, workflow.Input{RequestID: id, Data: map[string]any{"name": "x"}, Field: "data"}); !refused(err, events.CodeNotFound, events.CodeConflict) {
		t.Errorf("after the end: %v", err)
	}
}

func twoAtOnce(t *testing.T, b *bed) {
	t.Parallel()
	r := b.start(t, asking+"w:delay{\"delayMs\":50}\n"+out("e", "name=q.name")+"s->q\nq->w\nw->e", nil)
	id := b.asked(t, r)[0].CollectionRequestID
	var all sync.WaitGroup
	errs := make([]error, 8)
	ctx := within(t)
	for i := range errs {
		all.Go(func() {
			errs[i] = b.service.Submit(ctx, b.user, r, workflow.Input{RequestID: id, Data: map[string]any{"name": fmt.Sprint(i)}, Field: "data"})
		})
	}
	all.Wait()
	st := b.over(t, r)
	won := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won++
			if want := fmt.Sprintf(`{"name":"%d"}`, i); output(st) != want {
				t.Errorf("%d was told that it won, and the output is %s", i, output(st))
			}
		case !refused(err, events.CodeNotFound, events.CodeConflict):
			t.Errorf("a late submitter: %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d won", won, len(errs))
	}
}

func twoRequests(t *testing.T, b *bed) {
	t.Parallel()
	r := b.start(t, "s:start\na:dataCollection{\"outputVariable\":\"a\"}\nb:dataCollection{\"outputVariable\":\"b\"}\n"+out("e", "a=a b=b")+"s->a\ns->b\na->e\nb->e", nil)
	pending := b.asked(t, r)
	if len(pending) != 2 {
		t.Fatalf("%d requests", len(pending))
	}
	for _, i := range []int{1, 0} {
		check(t, b.service.Submit(within(t), b.user, r, workflow.Input{RequestID: pending[i].CollectionRequestID, Data: pending[i].NodeID, Field: "data"}))
	}
	if got := output(b.over(t, r)); got != `{"a":"a","b":"b"}` {
		t.Error(got)
	}
}

func tooLarge(t *testing.T, b *bed) {
	t.Parallel()
	r := b.start(t, "s:start\nq:dataCollection{\"outputVariable\":\"q\"}\n"+out("e", "q=q")+"s->q\nq->e", nil)
	id := b.asked(t, r)[0].CollectionRequestID
	err := b.service.Submit(within(t), b.user, r, workflow.Input{RequestID: id, Data: strings.Repeat("x", maxResult+1), Field: "data"})
	if !refused(err, events.CodeValidation) {
		t.Errorf("an input that is too large: %v", err)
	}
	check(t, b.service.Submit(within(t), b.user, r, workflow.Input{RequestID: id, Data: "x", Field: "data"}))
	if got := output(b.over(t, r)); got != `{"q":"x"}` {
		t.Error(got)
	}
}

func expiredInput(t *testing.T, b *bed) {
	t.Parallel()
	r := b.start(t, "s:start\nq:ask{\"ms\":50}\n"+"s->q", nil)
	st := b.over(t, r)
	if st.Run.Status != events.RunFailed || !strings.Contains(st.Run.Error, "did not come in time") {
		t.Errorf("%s %s", st.Run.Status, st.Run.Error)
	}
	r = b.start(t, "s:start\nq:ask{\"ms\":50}\n"+transform("h", "'late'", "")+out("e", "v=h")+"s->q\nq[error]->h\nh->e", nil)
	if got := output(b.over(t, r)); got != `{"v":"late"}` {
		t.Error(got)
	}
}

// widgetInput is what people do in widgets: later nodes can read it, and a form
// answers the oldest request.
func widgetInput(t *testing.T, b *bed) {
	t.Parallel()
	r := b.start(t, asking+out("e", "name=q.name w=ctx.__widgetInput.inputType")+"s->q\nq->e", nil)
	b.asked(t, r)
	click := map[string]any{"inputType": "click", "data": 1}
	check(t, b.service.WidgetInput(within(t), b.user, r, click, false))
	bad := map[string]any{"inputType": "form_submit", "data": map[string]any{"name": 1}}
	if err := b.service.WidgetInput(within(t), b.user, r, bad, true); !refused(err, events.CodeValidation) {
		t.Errorf("a bad form: %v", err)
	}
	form := map[string]any{"inputType": "form_submit", "data": map[string]any{"name": "Ada"}}
	check(t, b.service.WidgetInput(within(t), b.user, r, form, true))
	if got := output(b.over(t, r)); got != `{"name":"Ada","w":"form_submit"}` {
		t.Error(got)
	}
}

// approvals are decisions, which name the handle.
func approvals(t *testing.T, b *bed) {
	const def = "s:start\np:approval{\"title\":\"Pay?\"}\n"
	ends := transform("yes", "'yes'", "") + transform("no", "'no'", "") + out("e", "y=yes n=no c=approvalResult.comment by=approvalResult.decidedBy") +
		"s->p\np[approve]->yes\np[reject]->no\nyes->e\nno->e"
	for _, tt := range []struct{ decision, want string }{
		{"approve", `{"by":"ada","c":"ok","n":null,"y":"yes"}`},
		{"reject", `{"by":"ada","c":"ok","n":"no","y":null}`},
	} {
		t.Run(tt.decision, func(t *testing.T) {
			t.Parallel()
			r := b.start(t, def+ends, nil)
			id := b.asked(t, r)[0].CollectionRequestID
			if err := b.service.Submit(within(t), b.user, r, workflow.Input{RequestID: id, Data: map[string]any{"decision": "maybe"}, Field: "data"}); !refused(err, events.CodeValidation) {
				t.Errorf("neither: %v", err)
			}
			check(t, b.service.Submit(within(t), b.user, r, workflow.Input{RequestID: id, Data: map[string]any{"decision": tt.decision, "comment": "ok"}, Field: "data"}))
			if got := output(b.over(t, r)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("expired", func(t *testing.T) {
		t.Parallel()
		r := b.start(t, "s:start\np:ask{\"ms\":50,\"approval\":true}\n"+transform("late", "ctx.answer.decision", "")+out("e", "v=late")+"s->p\np[expired]->late\nlate->e", nil)
		if got := output(b.over(t, r)); got != `{"v":"expired"}` {
			t.Error(got)
		}
		r = b.start(t, "s:start\np:ask{\"ms\":50,\"approval\":true}\n"+out("e", "v=answer")+"s->p\np[approve]->e", nil)
		if st := b.over(t, r); st.Run.Status != events.RunFailed {
			t.Errorf("nobody decided, and it is %s", st.Run.Status)
		}
	})
}
