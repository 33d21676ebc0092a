package enginetest

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
)

// crowd is many runs at once: all of them end, and no more nodes run at once
// than may.
func crowd(t *testing.T, o Options) {
	const runs = 500
	b := newBed(t, o)
	w := b.define(t, "s:start\na:effect{\"value\":\"{{input.n}}\",\"outputVariable\":\"a\"}\nd:delay{\"delayMs\":1}\nb:effect{\"value\":\"{{ctx.a.value + 1}}\",\"outputVariable\":\"b\"}\n"+out("e", "v=b.value")+"s->a\na->d\nd->b\nb->e")
	made := make([]workflow.Run, runs)
	ctx := within(t)
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() {
			var err error
			if made[i], err = b.service.Execute(ctx, b.user, w.ID, map[string]any{"n": 1}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i, r := range made {
		if i%10 != 0 { // what was published is looked at in any case
			check(t, b.service.Wait(ctx, r.ID))
			continue
		}
		if st := b.over(t, r); st.Run.Status != events.RunCompleted || output(st) != `{"v":2}` {
			t.Errorf("%s %s %s", st.Run.Status, output(st), st.Run.Error)
		}
	}
	if b.world.most > o.Parallel || len(b.world.calls) != 2*runs {
		t.Errorf("%d nodes ran, up to %d at once, of %d that may", len(b.world.calls), b.world.most, o.Parallel)
	}
}

// fairness is between tenants: one that comes late with little does not wait
// for all that another has in line.
func fairness(t *testing.T, o Options) {
	b := newBed(t, o)
	late := "late-" + uuid.NewString()[:8]
	eve := admin("eve", late)
	const def = "s:start\na:effect{\"hold\":true}\ns->a"
	busy := make([]workflow.Run, 10*o.Parallel)
	w := b.define(t, def)
	for i := range busy {
		var err error
		busy[i], err = b.service.Execute(within(t), b.user, w.ID, nil)
		check(t, err)
	}
	theirs, err := b.service.Execute(within(t), eve, b.defineIn(t, eve, late, parse(t, def)).ID, nil)
	check(t, err)
	b.began(t, o.Parallel)
	// Nodes of the busy tenant end one after the other. Of those that take
	// their places, one of the first is the late tenant's.
	released := 0
	for ; ; released++ {
		_, calls := b.world.next()
		if slices.ContainsFunc(calls, func(c call) bool { return c.tenant == late }) {
			break
		}
		b.world.release(calls[released].run)
		b.began(t, len(calls)+1)
	}
	if released > len(busy)/2 {
		t.Errorf("%d nodes of another tenant ended before the late one got its turn; %d run at once", released, o.Parallel)
	}
	_, calls := b.world.next()
	for i, c := range calls {
		if i >= released && c.tenant != late {
			b.world.release(c.run)
		}
	}
	for _, r := range busy {
		if !slices.ContainsFunc(calls, func(c call) bool { return c.run == r.ID }) {
			b.world.release(r.ID)
		}
	}
	b.world.release(theirs.ID)
	for _, r := range append(busy, theirs) {
		b.over(t, r)
	}
}
