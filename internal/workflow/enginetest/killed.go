package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// journey is a run that does a little of everything.
const journey = `s:start
	a:effect{"value":"a","outputVariable":"a"}
	l:loop{"sourceVariable":"input.n"}
	b:effect{"value":"{{ctx.item}}","outputVariable":"b"}
	w:delay{"delayMs":5}
	v:transform{"expression":"ctx.b.value * 10","outputVariable":"v"}
	x:effect{"value":"x","outputVariable":"x"}
	q:dataCollection{"outputVariable":"q"}
	j:transform{"expression":"[ctx.a.value, ctx.x.value, ctx.q, ctx.loopResults]","outputVariable":"j"}
	z:effect{"failures":9,"errorHandling":"continue_default","defaultValue":"z","outputVariable":"z"}
	`

const journeyEdges = "s->a\na->l\nl[loop]->b\nb->w\nw->v\nv->l\nl[completed]->j\na->x\nx->q\nq->j\nj->z\nz->e"

// maxWrites is more than a journey takes: each entry in a write of its own.
const maxWrites = 100

// killed lets the engine die at each of its writes, before and after it: the
// run ends as one that nothing happens to, and no node that has a result runs
// again.
func killed(t *testing.T, o Options) {
	want := ""
	for _, after := range []bool{false, true} {
		repeated, calls, n := uint64(0), 0, 1
		for ; n < maxWrites; n++ {
			b := newBedWithout(t, o)
			end := b.travel(t, newLife(n, after))
			if want == "" {
				undisturbed := newBedWithout(t, o)
				want = undisturbed.travel(t, newLife(0, false))
			}
			if end != want {
				t.Errorf("killed at write %d (after it: %v):\n got %s\nwant %s", n, after, end, want)
			}
			if b.subject.Repeated != nil && uint64(b.world.repeated) > b.repeated {
				t.Errorf("killed at write %d (after it: %v): %d effects were repeated, and %d counted", n, after, b.world.repeated, b.repeated)
			}
			repeated += uint64(b.world.repeated)
			calls += len(b.world.calls)
			if b.deaths == 0 {
				break
			}
		}
		t.Logf("killed at each of %d writes, after it: %v; %d of %d effects were repeated", n-1, after, repeated, calls)
		if n < 5 || n == maxWrites {
			t.Errorf("it died at %d writes", n-1)
		}
	}
}

// travel makes a journey. When the engine has died, another one goes on.
func (b *bed) travel(t *testing.T, l *life) (end string) {
	t.Helper()
	b.open(t, newLife(0, false))
	w := b.define(t, journey+out("e", "j=j z=z")+journeyEdges)
	r, input := b.newRun(t, w)
	b.subject.Close()
	b.open(t, l)
	for {
		err := b.carry(within(t), r, input, l)
		if l.spare() {
			check(t, err)
			break
		}
		b.kill()
		l = newLife(0, false)
		b.open(t, l)
	}
	st := b.over(t, r)
	b.shut(t)
	ctx, err := json.Marshal(map[string]any{"q": st.Context["q"], "v": st.Context["v"], "loop": st.Context["loopResults"], "z": st.Context["z"]})
	check(t, err)
	return fmt.Sprintf("%s %s %s %s", st.Run.Status, st.Run.Error, output(st), ctx)
}

// carry brings a run to its end, giving it what it asks for, or to the death of
// the engine.
func (b *bed) carry(ctx context.Context, r workflow.Run, input interpreter.Entry, l *life) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-l.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := b.subject.Engine.Execute(ctx, r, input); err != nil {
		return err
	}
	for {
		if err := b.service.Settle(ctx, r.ID); err != nil {
			return err
		}
		run, err := b.store.Run(ctx, r.ID)
		if err != nil {
			return err
		}
		st, err := b.service.State(ctx, run)
		if err != nil || st.Run.Status.Terminal() {
			return err
		}
		for _, p := range st.Pending {
			o := interpreter.Order{RunID: r.ID, Do: interpreter.Submit, RequestID: p.CollectionRequestID, Data: "answer", Field: "data", User: "ada", ID: p.CollectionRequestID}
			if err := b.subject.Engine.Deliver(ctx, run, o); err != nil {
				return err
			}
		}
	}
}

// killedWaiting kills an engine whose runs wait: for time, for people, for
// another attempt, for a child, and with a node at work. They all go on.
func killedWaiting(t *testing.T, o Options) {
	b := newBedWithout(t, o)
	b.open(t, newLife(0, false))
	child := b.define(t, "s:start\nd:delay{\"delayMs\":300}\na:effect{\"value\":\"child\",\"outputVariable\":\"a\"}\n"+out("e", "v=a.value")+"s->d\nd->a\na->e")
	type waiting struct {
		def, until, want string
		run              workflow.Run
	}
	all := []*waiting{
		{def: "s:start\nd:delay{\"delayMs\":300}\n" + out("e", "n=input.n") + "s->d\nd->e", until: "SUSPENDED d", want: `{"n":2}`},
		{def: "s:start\nd:delay{\"delayMs\":1}\nl:loop{\"sourceVariable\":\"input.n\",\"delayBetweenItems\":300}\n" + transform("v", "ctx.item", "") + out("e", "r=loopResults") + "s->d\nd->l\nl[loop]->v\nl[done]->e", until: "COMPLETED v", want: `{"r":[0,1]}`},
		{def: asking + out("e", "name=q.name") + "s->q\nq->e", until: "SUSPENDED q", want: `{"name":"Ada"}`},
		{def: "s:start\na:effect{\"value\":1,\"failures\":1,\"errorHandling\":\"retry_then_fail\",\"outputVariable\":\"a\"}\n" + out("e", "n=a.attempts") + "s->a\na->e", until: "RETRY a", want: `{"n":2}`},
		{def: calling(child.ID, "") + out("e", "c=c") + "s->c\nc->e", until: "SUSPENDED c", want: `{"c":{"v":"child"}}`},
		{def: "s:start\na:effect{\"value\":1,\"hold\":true,\"outputVariable\":\"a\"}\n" + out("e", "n=a.attempts") + "s->a\na->e", until: "DISPATCHED a", want: `{"n":2}`},
		{def: "s:start\nq:ask{\"ms\":300}\n" + transform("h", "'late'", "") + out("e", "v=h") + "s->q\nq[error]->h\nh->e", until: "SUSPENDED q", want: `{"v":"late"}`},
	}
	for _, w := range all {
		w.run = b.start(t, w.def, givenInput())
	}
	for _, w := range all {
		b.reaches(t, w.run.ID, w.until)
	}
	b.began(t, 2) // those of the retry and of the held one
	b.kill()
	b.open(t, newLife(0, false))
	b.world.release(all[5].run.ID)
	if pending := b.asked(t, all[2].run); len(pending) == 1 {
		check(t, b.service.Submit(within(t), b.user, all[2].run, workflow.Input{RequestID: pending[0].CollectionRequestID, Data: map[string]any{"name": "Ada"}, Field: "data"}))
	}
	for _, w := range all {
		if st := b.over(t, w.run); st.Run.Status != events.RunCompleted || output(st) != w.want {
			t.Errorf("got %s %s %s, want %s\n%s", st.Run.Status, output(st), st.Run.Error, w.want, traceOf(st.Log))
			if made, _ := b.store.ChildRuns(t.Context(), w.run.ID); len(made) > 0 {
				t.Errorf("its child is %s:\n%s", made[0].Status, b.trace(t, made[0].ID))
			}
		}
	}
	b.shut(t)
	if b.subject.Repeated != nil && b.repeated == 0 {
		t.Error("a node was repeated, and not counted")
	}
}

// closed closes an engine in order: nothing is repeated, and what it leaves
// goes on in the next.
func closed(t *testing.T, o Options) {
	b := newBedWithout(t, o)
	b.open(t, newLife(0, false))
	var runs []workflow.Run
	for range 20 {
		runs = append(runs, b.start(t, "s:start\na:effect{\"value\":1,\"outputVariable\":\"a\"}\nd:delay{\"delayMs\":20}\nb:effect{\"value\":2,\"outputVariable\":\"b\"}\n"+out("e", "a=a.attempts b=b.attempts")+"s->a\na->d\nd->b\nb->e", nil))
	}
	b.began(t, 10)
	b.subject.Close()
	if _, err := b.service.Execute(within(t), b.user, b.define(t, "s:start").ID, nil); err == nil {
		t.Error("a closed engine takes a run")
	} else if errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a closed engine does not answer: %v", err)
	}
	b.open(t, newLife(0, false))
	for _, r := range runs {
		if got := output(b.over(t, r)); got != `{"a":1,"b":1}` {
			t.Errorf("%s\n%s", got, b.trace(t, r.ID))
		}
	}
	b.shut(t)
}

// reaches waits until the log of a run has an entry.
func (b *bed) reaches(t *testing.T, runID, entry string) {
	t.Helper()
	eventually.True(t, func() bool { return strings.Contains(b.trace(t, runID), entry) }, func() string { return "run " + runID + " never comes to " + entry + ":\n" + b.trace(t, runID) })
}
