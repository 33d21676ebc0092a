package interpreter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/graph/graphtest"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// A player drives a machine on paper: it answers work at once and lets time
// pass when nothing else is left to do.
type player struct {
	t      *testing.T
	plan   *graph.Plan
	types  nodes.Types
	now    time.Time
	m      *interpreter.Machine
	log    []interpreter.Entry
	effect func(w interpreter.Work, call nodes.Call) (nodes.Result, error) // of nodes that are not pure
}

func newPlayer(t *testing.T, def string) *player {
	t.Helper()
	p := &player{t: t, plan: graph.NewPlan(graphtest.Parse(t, def)), types: nodes.All(nodes.Options{}), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	p.effect = func(w interpreter.Work, _ nodes.Call) (nodes.Result, error) {
		return nodes.Result{Output: w.Node + w.Iteration}, nil
	}
	if err := p.plan.Definition.Check(p.types, "acme"); err != nil {
		t.Fatal(err)
	}
	p.open(nil)
	input, _ := interpreter.NewEntry(interpreter.InputSet, "", "", map[string]any{"n": 2, "list": []any{"x", "y", "z"}})
	p.m.Add(input, p.now)
	return p
}

// open makes the machine anew, from a log.
func (p *player) open(log []interpreter.Entry) {
	p.m = interpreter.New(p.plan, interpreter.Options{RunID: "run", Tenant: "acme", User: "ada", Pure: p.types.Pure, MaxResult: 1 << 20, Deadline: p.plan0().Add(time.Hour)})
	p.m.Replay(log)
	p.log = append([]interpreter.Entry(nil), log...)
	p.m.Record(func(e interpreter.Entry) { p.log = append(p.log, e) })
}

func (p *player) plan0() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// limit makes the machine anew, with limits.
func (p *player) limit(o interpreter.Options) {
	log := p.log
	o.RunID, o.Pure = "run", p.types.Pure
	p.m = interpreter.New(p.plan, o)
	p.m.Replay(log)
	p.m.Record(func(e interpreter.Entry) { p.log = append(p.log, e) })
}

func (p *player) do(w interpreter.Work) {
	typ, call := p.m.Call(w, p.now)
	var r nodes.Result
	var err error
	if w.Pure {
		r, err = p.types.Execute(p.t.Context(), typ, call, nil)
	} else {
		r, err = p.effect(w, call)
	}
	p.m.Result(w, r, err, p.now)
}

// play goes on until the run is over or waits for people.
func (p *player) play() {
	p.t.Helper()
	work := p.m.Unfinished()
	for range 100_000 {
		work = append(work, p.m.Next(p.now)...)
		if len(work) > 0 {
			p.do(work[0])
			work = work[1:]
			continue
		}
		at := p.m.Alarm()
		if p.m.Ended() != nil || p.m.Idle() || len(p.m.Children()) > 0 || at.IsZero() {
			return
		}
		p.now = at
		p.m.Wake(p.now)
	}
	p.t.Fatal("it goes on and on")
}

// trace is the log in short.
func (p *player) trace() string {
	var lines []string
	for _, e := range p.log {
		line := string(e.Type)
		if e.Node != "" {
			line += " " + e.Node
		}
		if e.Iteration != "" {
			line += "/" + e.Iteration
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func (p *player) ending() string {
	end := p.m.Ended()
	if end == nil {
		return "goes on"
	}
	return fmt.Sprintf("%s %s%s", end.Status, end.Error, end.Output)
}

func (p *player) variable(name string) string {
	b, _ := json.Marshal(p.m.Context()[name])
	return string(b)
}

const http = `:http{"url":"http://x"`

// The cases that say how a run goes on. The log is told by the entries that
// have a node.
var cases = []struct{ name, def, ending string }{
	{"join waits for all", "s:start\na" + http + "}\nb" + http + "}\nj" + http + "}\ne:end\ns->a\ns->b\na->j\nb->j\nj->e", `COMPLETED {}`},
	{"join any", "s:start\na" + http + "}\nb" + http + "}\nj" + http + `,"joinMode":"any"}` + "\ns->a\ns->b\na->j\nb->j", `COMPLETED `},
	{"dead branches do not keep a join waiting", `
		s:start
		c:condition{"branches":[{"id":"yes","condition":"true"}]}
		x:transform{"expression":"1"}
		y:transform{"expression":"2"}
		z:transform{"expression":"3"}
		j:transform{"expression":"ctx.transformResult"}
		e:end{"outputParameters":[{"name":"r","sourceVariable":"transformResult"}]}
		s->c
		c[yes]->x
		c[default]->y
		y->z
		x->j
		z->j
		j->e`, `COMPLETED {"r":1}`},
	{"a path that leads nowhere", "s:start\nc:condition{\"branches\":[{\"id\":\"yes\",\"condition\":\"false\"}]}\nx:end\ns->c\nc[yes]->x", `COMPLETED `},
	{"loop", `
		s:start
		l:loop{"sourceVariable":"input.list"}
		a:transform{"expression":"ctx.item + string(ctx.index)"}
		e:end{"outputParameters":[{"name":"r","sourceVariable":"loopResults"}]}
		s->l
		l[loop]->a
		a->l
		l[completed]->e`, `COMPLETED {"r":["x0","y1","z2"]}`},
	{"loop over nothing", `
		s:start
		l:loop{"sourceVariable":"input.none"}
		t:loop{"sourceVariable":"input.n - 2"}
		a:transform{"expression":"1"}
		b:transform{"expression":"1"}
		e:end{"outputParameters":[{"name":"r","sourceVariable":"loopResults"}]}
		s->t
		t[loop]->a
		t[done]->e
		l[loop]->b`, `COMPLETED {"r":[]}`},
	{"nested loops, with effects and delays", `
		s:start
		outer:loop{"sourceVariable":"input.list","itemVariable":"o","delayBetweenItems":50}
		inner:loop{"sourceVariable":"input.n","itemVariable":"i","outputVariable":"row"}
		a:http{"url":"http://x"}
		d:delay{"delayMs":10}
		b:transform{"expression":"ctx.o + string(ctx.i)"}
		e:end{"outputParameters":[{"name":"r","sourceVariable":"loopResults"}]}
		s->outer
		outer[loop]->inner
		inner[loop]->a
		a->d
		d->b
		b->inner
		inner->outer
		outer->e`, `COMPLETED {"r":[["x0","x1"],["y0","y1"],["z0","z1"]]}`},
	{"items that fail are skipped", `
		s:start
		l:loop{"sourceVariable":"input.n + 2"}
		a:transform{"expression":"ctx.item % 2 == 0 ? ctx.item : int('x')","errorHandling":"skip_item"}
		b:transform{"expression":"ctx.transformResult * 10"}
		e:end{"outputParameters":[{"name":"r","sourceVariable":"loopResults"}]}
		s->l
		l[loop]->a
		a->b
		l->e`, `COMPLETED {"r":[0,20]}`},
	{"a branch of a body that is not taken", `
		s:start
		l:loop{"sourceVariable":"input.list"}
		c:condition{"branches":[{"id":"y","condition":"ctx.item == 'y'"}]}
		a:transform{"expression":"'was y'"}
		b:transform{"expression":"'was not'"}
		j:transform{"expression":"ctx.transformResult"}
		e:end{"outputParameters":[{"name":"r","sourceVariable":"loopResults"}]}
		s->l
		l[loop]->c
		c[y]->a
		c[default]->b
		a->j
		b->j
		j->l
		l->e`, `COMPLETED {"r":["was not","was y","was not"]}`},
	{"an end in a body", `
		s:start
		l:loop{"sourceVariable":"input.list"}
		c:condition{"branches":[{"id":"y","condition":"ctx.item == 'y'"}]}
		e:end{"outputParameters":[{"name":"r","sourceVariable":"item"}]}
		s->l
		l[loop]->c
		c[y]->e`, `COMPLETED {"r":"y"}`},
}

func TestRuns(t *testing.T) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlayer(t, tt.def)
			p.play()
			if p.ending() != tt.ending {
				t.Errorf("got %s\nwant %s\n%s", p.ending(), tt.ending, p.trace())
			}
		})
	}
}

// However much of a log was stored when a process died, the run comes to the
// same end, and what is stored is not done again.
func TestRunsAreTakenUpAnywhere(t *testing.T) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			whole := newPlayer(t, tt.def)
			whole.play()
			for n := range whole.log {
				p := newPlayer(t, tt.def)
				p.now = whole.log[n].At
				p.open(whole.log[:n+1])
				if p.m.Seq() != uint64(n+1) {
					t.Fatalf("%d entries, number %d", n+1, p.m.Seq())
				}
				p.play()
				if p.ending() != tt.ending {
					t.Fatalf("after %d entries: got %s\n%s", n+1, p.ending(), p.trace())
				}
				finished := map[string]bool{}
				for _, e := range p.log {
					if e.Type == interpreter.NodeCompleted || e.Type == interpreter.NodeFailed {
						if at := e.Node + "/" + e.Iteration; finished[at] {
							t.Fatalf("after %d entries: %s finished twice\n%s", n+1, at, p.trace())
						} else {
							finished[at] = true
						}
					}
				}
			}
		})
	}
}

// An item that is given up takes with it what its body is doing besides.
func TestSkippingWhileOthersRun(t *testing.T) {
	p := newPlayer(t, `
		s:start
		l:loop{"sourceVariable":"input.n"}
		a:http{"url":"http://x","errorHandling":"skip_item"}
		b:http{"url":"http://x","errorHandling":"retry_then_fail"}
		d:delay{"delayMinutes":5}
		f:dataCollection{}
		i:loop{"sourceVariable":"input.list"}
		c:http{"url":"http://x"}
		e:end{"outputParameters":[{"name":"r","sourceVariable":"loopResults"}]}
		s->l
		l[loop]->d
		l[loop]->f
		l[loop]->i
		i[loop]->c
		l[loop]->b
		l[loop]->a
		a->l
		l->e`)
	p.effect = func(w interpreter.Work, _ nodes.Call) (nodes.Result, error) {
		if w.Node == "a" || w.Node == "b" {
			return nodes.Result{}, errors.New("boom")
		}
		return nodes.Result{}, nil
	}
	began := p.now
	for range 1000 { // the last first
		work := p.m.Next(p.now)
		for n := len(work) - 1; n >= 0; n-- {
			p.do(work[n])
		}
		if p.m.Ended() != nil {
			break
		}
	}
	if p.ending() != `COMPLETED {"r":[]}` || p.now != began {
		t.Errorf("%s\n%s", p.ending(), p.trace())
	}
}

func TestFailures(t *testing.T) {
	for _, tt := range []struct{ data, edge, ending string }{
		{``, "x->e", "FAILED node X: boom"},
		{``, "x[error]->e", `COMPLETED {"r":{"a":1}}`},
		{`,"errorHandling":"continue"`, "x->e", `COMPLETED {"r":{"a":1}}`},
		{`,"errorHandling":"continue_default","defaultValue":7`, "x->e", `COMPLETED {"r":7}`},
		{`,"errorHandling":"retry_then_fail"`, "x->e", "FAILED node X: boom"},
		{`,"errorHandling":"retry_then_continue"`, "x->e", `COMPLETED {"r":{"a":1}}`},
	} {
		p := newPlayer(t, "s:start\nx:http{\"url\":\"http://x\",\"title\":\"X\""+tt.data+"}\ne:end{\"outputParameters\":[{\"name\":\"r\",\"sourceVariable\":\"httpResult\"}]}\ns->x\n"+tt.edge)
		attempts, began, key := 0, p.now, ""
		p.effect = func(w interpreter.Work, call nodes.Call) (nodes.Result, error) {
			if attempts++; w.Attempt != attempts || call.Key == "" || key != "" && call.Key != key {
				t.Errorf("attempt %d is told to be %d, with the key %q", attempts, w.Attempt, call.Key)
			}
			key = call.Key
			return nodes.Result{Output: map[string]any{"a": 1}}, errors.New("boom")
		}
		p.play()
		want, took := 1, time.Duration(0)
		if strings.Contains(tt.data, "retry") {
			want, took = 3, 3*time.Second
		}
		if p.ending() != tt.ending || attempts != want || p.now.Sub(began) != took {
			t.Errorf("%s %s: %s after %d attempts in %v\n%s", tt.data, tt.edge, p.ending(), attempts, p.now.Sub(began), p.trace())
		}
	}
}

const asking = `
	s:start
	f:dataCollection{"formSchema":{"type":"object","required":["name"]},"outputVariable":"form"}
	a:approval{"title":"Sure?","expiryMinutes":5}
	e:end{"outputParameters":[{"name":"r","sourceVariable":"approvalResult"}]}
	x:end{"status":"failed"}
	s->f
	f->a
	a[approve]->e
	a[reject]->x
	a[expired]->e`

func TestOrders(t *testing.T) {
	p := newPlayer(t, asking)
	p.play()
	pending := p.m.Pending()
	if len(pending) != 1 || pending[0].NodeID != "f" {
		t.Fatalf("%+v", pending)
	}
	refused := func(o interpreter.Order, code events.Code, field string) {
		t.Helper()
		var e *events.Error
		if err := p.m.Order(o, p.now); !errors.As(err, &e) || e.Code != code || e.Field != field {
			t.Errorf("%+v: %+v", o, err)
		}
	}
	refused(interpreter.Order{Do: interpreter.Submit, Data: map[string]any{}, Field: "data"}, events.CodeValidation, "data.name")
	refused(interpreter.Order{Do: interpreter.Submit, RequestID: "other", Data: map[string]any{}}, events.CodeNotFound, "")
	must := func(o interpreter.Order) {
		t.Helper()
		if err := p.m.Order(o, p.now); err != nil {
			t.Fatal(err)
		}
		p.play()
	}
	must(interpreter.Order{Do: interpreter.WidgetInput, Form: true, ID: "1", Data: map[string]any{"widgetID": "w", "data": map[string]any{"name": "Ada"}}})
	if p.variable("form") != `{"name":"Ada"}` || p.m.Pending()[0].NodeID != "a" {
		t.Fatal(p.trace())
	}
	must(interpreter.Order{Do: interpreter.WidgetInput, Form: true, ID: "1", Data: map[string]any{"data": map[string]any{"name": "again"}}})
	refused(interpreter.Order{Do: interpreter.Submit, Data: map[string]any{"decision": "perhaps"}, Field: "data"}, events.CodeValidation, "data.decision")
	must(interpreter.Order{Do: interpreter.Submit, Data: map[string]any{"decision": "approve", "comment": "ok"}, User: "ada"})
	if p.ending() != `COMPLETED {"r":{"comment":"ok","decidedBy":"ada","decision":"approve"}}` {
		t.Error(p.ending())
	}
	refused(interpreter.Order{Do: interpreter.Stop}, events.CodeConflict, "")
}

func TestExpiryAndDeadline(t *testing.T) {
	p := newPlayer(t, asking)
	p.play()
	if err := p.m.Order(interpreter.Order{Do: interpreter.Submit, Data: map[string]any{"name": "x"}}, p.now); err != nil {
		t.Fatal(err)
	}
	p.play()
	if at := p.m.Alarm(); at.Sub(p.now) != 5*time.Minute {
		t.Fatalf("it is to be woken in %v", at.Sub(p.now))
	}
	p.now = p.m.Alarm()
	p.m.Wake(p.now)
	p.play()
	if p.ending() != `COMPLETED {"r":{"decision":"expired"}}` {
		t.Error(p.ending())
	}

	p = newPlayer(t, asking)
	p.play()
	p.now = p.now.Add(time.Hour)
	p.m.Wake(p.now)
	if p.ending() != "FAILED the run took longer than it may" {
		t.Error(p.ending())
	}
}

func TestChildRuns(t *testing.T) {
	for _, tt := range []struct {
		end    interpreter.Ending
		ending string
	}{
		{interpreter.Ending{Status: events.RunCompleted, Output: json.RawMessage(`{"x":1}`)}, `COMPLETED {"r":{"x":1}}`},
		{interpreter.Ending{Status: events.RunFailed, Error: "why"}, "FAILED node c: the run CHILD of its workflow is FAILED: why"},
	} {
		p := newPlayer(t, "s:start\nc:subWorkflow{\"workflowID\":\"other\",\"inputValues\":{\"a\":\"{{input.n}}\"}}\ne:end{\"outputParameters\":[{\"name\":\"r\",\"sourceVariable\":\"subWorkflowResult\"}]}\ns->c\nc->e")
		p.play()
		children := p.m.Children()
		if len(children) != 1 || children[0].WorkflowID != "other" || string(children[0].Input) != `{"a":2}` {
			t.Fatalf("%+v", children)
		}
		for _, id := range []string{"another", children[0].RunID} {
			if err := p.m.Order(interpreter.Order{Do: interpreter.ChildEnded, Child: id, Ending: &tt.end}, p.now); err != nil {
				t.Fatal(err)
			}
		}
		p.play()
		if got := strings.ReplaceAll(p.ending(), children[0].RunID, "CHILD"); got != tt.ending {
			t.Error(got)
		}
	}
}

func TestResultsThatAreTooLarge(t *testing.T) {
	p := newPlayer(t, "s:start\nx"+http+"}\ns->x")
	p.effect = func(interpreter.Work, nodes.Call) (nodes.Result, error) {
		return nodes.Result{Output: strings.Repeat("x", 2<<20)}, nil
	}
	p.play()
	if !strings.Contains(p.ending(), "larger than workflow.maxResult") {
		t.Error(p.ending())
	}
}

// A run that goes on and on, or keeps more and more, ends at its limits.
func TestLimitsOfARun(t *testing.T) {
	p := newPlayer(t, `
		s:start
		l:loop{"sourceVariable":"input.n * 500"}
		a:transform{"expression":"ctx.index"}
		s->l
		l[loop]->a
		a->l`)
	p.limit(interpreter.Options{MaxEntries: 50})
	p.play()
	if len(p.log) != 51 || !strings.Contains(p.ending(), "FAILED its log has as many entries as workflow.maxEntries allows, which is 50") {
		t.Errorf("%d entries, %s", len(p.log), p.ending())
	}
	p = newPlayer(t, `
		s:start
		a:transform{"expression":"repeat('x', 1000)","outputVariable":"a"}
		b:transform{"expression":"repeat('x', 1000)","outputVariable":"b"}
		s->a
		a->b`)
	p.limit(interpreter.Options{MaxVariables: 2500})
	p.play()
	if !strings.Contains(p.ending(), "FAILED node b: with its result of 1002 bytes the variables of the run are larger than workflow.maxVariables, which is 2500") {
		t.Error(p.ending())
	}
}
