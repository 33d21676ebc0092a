package interpreter_test

import (
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// What nothing leads to never comes, so nobody waits for it.
func TestPathsFromNowhere(t *testing.T) {
	p := newPlayer(t, `
		s:start
		a:transform{"expression":"1"}
		lost:transform{"expression":"2"}
		lost2:transform{"expression":"2"}
		l:loop{"sourceVariable":"input.list"}
		b:transform{"expression":"3"}
		j:transform{"expression":"4"}
		e:end{"outputParameters":[{"name":"r","sourceVariable":"transformResult"}]}
		s->a
		lost->lost2
		lost2->j
		lost->l
		l[loop]->b
		l->j
		a->j
		j->e`)
	p.play()
	if p.ending() != `COMPLETED {"r":4}` {
		t.Errorf("%s\n%s", p.ending(), p.trace())
	}
}

// The results of a loop are bounded together, and before they are all there.
func TestResultsOfALoopThatAreTooLarge(t *testing.T) {
	for data, ending := range map[string]string{
		``:                                   "FAILED node l: its results of 20 items",
		`,"errorHandling":"retry_then_fail"`: "FAILED node l: its results of 20 items",
		`,"errorHandling":"continue"`:        "COMPLETED ",
	} {
		p := newPlayer(t, `
		s:start
		l:loop{"sourceVariable":"input.n * 500"`+data+`}
		x:http{"url":"http://x"}
		e:end
		s->l
		l[loop]->x
		x->l
		l->e`)
		executed := 0
		p.effect = func(interpreter.Work, nodes.Call) (nodes.Result, error) {
			executed++
			return nodes.Result{Output: strings.Repeat("x", 1<<20/20)}, nil
		}
		p.play()
		if !strings.HasPrefix(p.ending(), ending) || executed != 20 {
			t.Errorf("%s: %s after %d items", data, p.ending(), executed)
		}
	}
}

// A run that could go on by itself does not wait for people only.
func TestIdleWhileThereIsWork(t *testing.T) {
	const def = "s:start\nf:dataCollection{}\nl:loop{\"sourceVariable\":\"input.n\"}\na:transform{\"expression\":\"1\"}\ns->f\ns->l\nl[loop]->a"
	p := newPlayer(t, def)
	p.play()
	idle := 0
	for n := range p.log {
		part := newPlayer(t, def)
		part.open(p.log[:n+1])
		if part.m.Idle() {
			idle++
		}
	}
	if idle != 1 || !p.m.Idle() {
		t.Errorf("idle %d times\n%s", idle, p.trace())
	}
}
