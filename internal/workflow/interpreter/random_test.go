package interpreter_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// A drawer draws graphs at random.
type drawer struct {
	*rand.Rand
	nodes, edges []string
	n            int
}

func (d *drawer) node(typ, data string) string {
	d.n++
	id := fmt.Sprintf("n%d", d.n)
	d.nodes = append(d.nodes, id+":"+typ+"{"+data+"}")
	return id
}

func (d *drawer) pick(list ...string) string { return list[d.IntN(len(list))] }

// part draws some nodes behind others, and returns those that nothing follows.
// loop is the loop that they are in the body of.
func (d *drawer) part(from []string, depth int, loop string) []string {
	all := slices.Clone(from)
	for range 1 + d.IntN(4) {
		handling := d.pick("fail_workflow", "continue", "continue_default", "retry_then_fail", "retry_then_continue")
		if loop != "" {
			handling = d.pick(handling, "skip_item")
		}
		kind := d.IntN(7)
		if kind == 1 && (handling == "continue" || handling == "continue_default" || handling == "retry_then_continue") {
			handling = "retry_then_fail" // a condition cannot go on by output
		}
		data := fmt.Sprintf(`"errorHandling":%q,"joinMode":%q`, handling, d.pick("all", "any", "all"))
		var id string
		var exits []string
		switch {
		case kind == 0 && depth > 0:
			id = d.node("loop", data+fmt.Sprintf(`,"sourceVariable":"input.n - %d","delayBetweenItems":%d`, d.IntN(3), d.IntN(2)*30))
			for _, end := range d.part([]string{id + "[loop]"}, depth-1, id) {
				if d.IntN(2) == 0 && end != id+"[loop]" {
					d.edges = append(d.edges, end+"->"+id)
				}
			}
			exits = []string{id + "[completed]", id + "[error]"}
		case kind == 1:
			id = d.node("condition", data+fmt.Sprintf(`,"branches":[{"id":"x","condition":"%s"}]`, d.pick("true", "false", "ctx.index == 1")))
			exits = []string{id + "[x]", id + "[default]"}
		case kind == 2:
			id = d.node("delay", data+fmt.Sprintf(`,"delayMs":%d`, d.IntN(100)))
			exits = []string{id}
		case kind == 3:
			id = d.node("transform", data+fmt.Sprintf(`,"expression":"%s"`, d.pick("1", "int('x')", "ctx.index")))
			exits = []string{id, id, id + "[error]"}
		default:
			id = d.node("http", data+`,"url":"http://x"`)
			exits = []string{id, id, id + "[error]"}
		}
		for range 1 + d.IntN(3) {
			if d.IntN(20) > 0 || loop != "" {
				d.edges = append(d.edges, all[d.IntN(len(all))]+"->"+id)
			}
		}
		all = append(all, exits...)
	}
	return all
}

func draw(seed uint64) string {
	d := &drawer{Rand: rand.New(rand.NewPCG(seed, 6))}
	start := d.node("start", "")
	d.part([]string{start}, 3, "")
	return strings.Join(append(d.nodes, d.edges...), "\n")
}

// Whatever a graph looks like, its run ends, nothing that has a path to it is
// left out, and it may be interrupted anywhere.
func TestRandomGraphs(t *testing.T) {
	for seed := range uint64(100) {
		def := draw(seed)
		play := func(upTo []interpreter.Entry) *player {
			p := newPlayer(t, def)
			p.effect = func(w interpreter.Work, call nodes.Call) (nodes.Result, error) {
				if (call.Key[0]+call.Key[1])%3 == 0 {
					return nodes.Result{}, errors.New("boom")
				}
				return nodes.Result{Output: w.Node + w.Iteration}, nil
			}
			if upTo != nil {
				p.now = upTo[len(upTo)-1].At
				p.open(upTo)
			}
			p.play()
			return p
		}
		whole := play(nil)
		if whole.m.Ended() == nil {
			t.Fatalf("seed %d goes on for ever\n%s\n%s", seed, def, whole.trace())
		}
		if left := whole.m.Undecided(); len(left) > 0 && strings.HasPrefix(whole.ending(), "COMPLETED") {
			t.Fatalf("seed %d leaves out %v\n%s\n%s", seed, left, def, whole.trace())
		}
		for n := 1; n < len(whole.log); n += 1 + n/10 {
			if p := play(whole.log[:n]); p.m.Ended() == nil || p.m.Ended().Status != whole.m.Ended().Status {
				t.Fatalf("seed %d after %d entries: %s, want %s\n%s\n%s", seed, n, p.ending(), whole.ending(), def, p.trace())
			}
		}
	}
}
