package enginetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/graph/graphtest"
)

// children are runs that nodes of others wait for.
func children(t *testing.T, b *bed) {
	t.Run("result", b.sub(childResult))
	t.Run("failure", b.sub(childFailure))
	t.Run("stop", b.sub(childStop))
	t.Run("not there", b.sub(childNotThere))
	t.Run("depth", b.sub(childDepth))
}

// calling is a definition that calls a workflow.
func calling(workflowID, more string) string {
	return fmt.Sprintf(`s:start
		c:subWorkflow{"workflowID":%q,"inputValues":{"n":"{{ctx.item != nil ? ctx.item : input.n}}"},"outputVariable":"c"%s}`+"\n", workflowID, more)
}

func childResult(t *testing.T, b *bed) {
	t.Parallel()
	child := b.define(t, "s:start\na:effect{\"value\":\"{{input.n * 10}}\",\"outputVariable\":\"a\"}\n"+out("e", "v=a.value")+"s->a\na->e")
	r := b.start(t, calling(child.ID, "")+out("e", "v=c")+"s->c\nc->e", givenInput())
	if got := output(b.over(t, r)); got != `{"v":{"v":20}}` {
		t.Error(got)
	}
	made, err := b.store.ChildRuns(t.Context(), r.ID)
	check(t, err)
	if len(made) != 1 || made[0].Parent != r.ID || made[0].WorkflowID != child.ID || made[0].Tenant != b.tenant || made[0].StartedBy != "ada" {
		t.Fatalf("children: %+v", made)
	}
	b.over(t, made[0])

	r = b.start(t, calling(child.ID, "")+"l:loop{\"sourceVariable\":\"input.n\"}\n"+out("e", "v=loopResults")+"s->l\nl[loop]->c\nc->l\nl[done]->e", givenInput())
	if got := output(b.over(t, r)); got != `{"v":[{"v":0},{"v":10}]}` {
		t.Error(got)
	}
}

func childFailure(t *testing.T, b *bed) {
	t.Parallel()
	child := b.define(t, "s:start\na:effect{\"failures\":9}\ns->a")
	st := b.over(t, b.start(t, calling(child.ID, "")+"s->c", givenInput()))
	if st.Run.Status != events.RunFailed || !strings.Contains(st.Run.Error, "attempt 1 fails") {
		t.Errorf("%s %s", st.Run.Status, st.Run.Error)
	}
	st = b.over(t, b.start(t, calling(child.ID, `,"errorHandling":"continue_default","defaultValue":5`)+out("e", "v=c")+"s->c\nc->e", givenInput()))
	if got := output(st); got != `{"v":5}` {
		t.Errorf("%s %s", got, st.Run.Error)
	}
}

// childStop stops a run whose child is at work.
func childStop(t *testing.T, b *bed) {
	t.Parallel()
	child := b.define(t, "s:start\na:effect{\"hold\":true}\ns->a")
	r := b.start(t, calling(child.ID, "")+"s->c", givenInput())
	var made []workflow.Run
	eventually.True(t, func() bool {
		made, _ = b.store.ChildRuns(t.Context(), r.ID)
		return len(made) == 1 && strings.Contains(b.trace(t, made[0].ID), "NODE_DISPATCHED a")
	})
	check(t, b.service.Stop(within(t), b.user, r))
	if st := b.over(t, r); st.Run.Status != events.RunStopped {
		t.Errorf("the run is %s", st.Run.Status)
	}
	if st := b.over(t, made[0]); st.Run.Status != events.RunCancelled && st.Run.Status != events.RunStopped {
		t.Errorf("its child is %s", st.Run.Status)
	}
}

func childNotThere(t *testing.T, b *bed) {
	t.Parallel()
	elsewhere := "other-" + b.tenant
	theirs := b.defineIn(t, admin("eve", elsewhere), elsewhere, graphtest.Parse(t, "s:start"))
	for _, id := range []string{"no-such-workflow", theirs.ID} {
		st := b.over(t, b.start(t, calling(id, "")+"s->c", givenInput()))
		if st.Run.Status != events.RunFailed || !strings.Contains(st.Run.Error, "workflow "+id+" not found") {
			t.Errorf("%s: %s %s", id, st.Run.Status, st.Run.Error)
		}
	}
}

// childDepth is a workflow that calls itself.
func childDepth(t *testing.T, b *bed) {
	t.Parallel()
	w := b.define(t, "s:start")
	def := graphtest.Parse(t, calling(w.ID, "")+"s->c")
	_, err := b.service.Change(within(t), b.user, w.ID, "", &def)
	check(t, err)
	r, err := b.service.Execute(within(t), b.user, w.ID, givenInput())
	check(t, err)
	if st := b.over(t, r); st.Run.Status != events.RunFailed || !strings.Contains(st.Run.Error, "wait for each other") {
		t.Errorf("%s %s", st.Run.Status, st.Run.Error)
	}
}
