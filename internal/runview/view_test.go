package runview

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/graph/graphtest"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

const definition = `
	s:start{"title":"Begin"}
	call:http{"title":"Ask the service","url":"http://x"}
	each:loop{"title":"Each order","sourceVariable":"list"}
	sum:transform{"title":"Sum","expression":"1"}
	book:http{"title":"Book what was ordered by everybody","url":"http://x"}
	ok:approval{"title":"Release\u001b[2J"}
	later:delay{"title":"Wait a while","delayMs":1}
	no:end{"title":"Rejected"}
	e:end{"title":"End"}
	s->call
	call->each
	each[loop]->sum
	sum->book
	each[completed]->ok
	s->later
	ok[approve]->e
	ok[reject]->no`

// A tape makes entries, at times in milliseconds from the beginning.
type tape struct {
	t   *testing.T
	v   *View
	log []interpreter.Entry
}

var zero = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func after(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }

func newTape(t *testing.T) *tape {
	return &tape{t: t, v: New("Orders", "7f0b5f0e-3f5e-4c53-9e0c-4b1f6a1f2f6d", graph.NewPlan(graphtest.Parse(t, definition)))}
}

func (p *tape) add(ms int, typ interpreter.EntryType, node, iteration string, data any) {
	p.t.Helper()
	e, err := interpreter.NewEntry(typ, node, iteration, data)
	if err != nil {
		p.t.Fatal(err)
	}
	e.Seq, e.At = uint64(len(p.log)+1), after(ms)
	p.log = append(p.log, e)
	p.v.Add(e)
	p.v.Add(e) // which is ignored
}

func (p *tape) first() {
	done := func(output, handle string) interpreter.Completion {
		return interpreter.Completion{Output: json.RawMessage(output), Handle: handle}
	}
	until := after(65_000)
	p.add(0, interpreter.InputSet, "", "", map[string]any{"list": []int{1, 2}})
	p.add(0, interpreter.NodeCompleted, "s", "", done(`{"started":true}`, "output"))
	p.add(1, interpreter.NodeDispatched, "call", "", nil)
	p.add(1, interpreter.NodeSuspended, "later", "", interpreter.Suspension{Until: &until})
	p.add(600, interpreter.NodeRetry, "call", "", interpreter.Retry{Error: "no answer", Attempt: 1, Until: after(1600)})
	p.add(1600, interpreter.NodeDispatched, "call", "", nil)
	p.add(2800, interpreter.NodeCompleted, "call", "", done(`{"status":200,"body":{"orders":[1,2],"more":"than there is room for on this line"}}`, "output"))
	p.add(2800, interpreter.LoopStarted, "each", "", interpreter.Loop{Items: []json.RawMessage{[]byte("1"), []byte("2"), []byte("3")}})
	p.add(2800, interpreter.IterationStarted, "each", "", interpreter.Iteration{Index: 0})
	p.add(2800, interpreter.NodeCompleted, "sum", "0", done(`10`, "output"))
	p.add(2800, interpreter.NodeDispatched, "book", "0", nil)
	p.add(3000, interpreter.NodeFailed, "book", "0", interpreter.Failure{Error: "api.example.org answered 500\nInternal", Handle: "output"})
	p.add(3000, interpreter.IterationStarted, "each", "", interpreter.Iteration{Index: 1})
	p.add(3000, interpreter.NodeCompleted, "sum", "1", done(`20`, "output"))
	p.add(3001, interpreter.NodeDispatched, "book", "1", nil)
}

func (p *tape) second() {
	done := interpreter.Completion{Output: json.RawMessage(`null`), Handle: "output"}
	p.add(3200, interpreter.NodeCompleted, "book", "1", done)
	p.add(3200, interpreter.NodeCompleted, "each", "", interpreter.Completion{Output: json.RawMessage(`[null,20]`), Handle: "completed"})
	p.add(3200, interpreter.NodeSuspended, "ok", "", interpreter.Suspension{RequestID: "r", Approval: true, Config: &events.CollectionConfig{}})
}

func (p *tape) third() {
	p.add(9000, interpreter.NodeCompleted, "ok", "", interpreter.Completion{Output: json.RawMessage(`{"decision":"approve"}`), Handle: "approve"})
	p.add(9000, interpreter.NodeCompleted, "e", "", interpreter.Completion{Output: json.RawMessage(`{"status":"success"}`), Handle: "output"})
	p.add(9000, interpreter.RunEnded, "", "", interpreter.Ending{Status: events.RunCompleted, Output: json.RawMessage(`{"sum":30}`)})
}

// The view of a terminal of 80 columns, as it changes.
func TestLines(t *testing.T) {
	p := newTape(t)
	p.first()
	p.expect(4500, Style{Width: 80}, `
Orders  7f0b5f0e-3f5e-4c53-9e0c-4b1f6a1f2f6d  RUNNING  4.5s
● Begin                                 {"started":true}
● Ask the service                 2.8s  {"status":200,"body":{"orders":[1,2],"m…
◐ Each order                      1.7s  2/3
●   Sum                                 20
◐   Book what was ordered by…     1.5s
○ Release [2J
⏸ Wait a while                    4.5s  waits, 1m01s left
○ Rejected
○ End`)
	p.second()
	p.expect(5000, Style{Width: 60, Height: 7}, `
Orders  7f0b5f0e-3f5e-4c53-9e0c-4b1f6a1f2f6d  RUNNING  5.0s
●   Sum                                 20
●   Book what was ordered by…     0.2s
⏸ Release [2J                     1.8s  waits for a decision
⏸ Wait a while                    5.0s  waits, 1m00s left
  … 5 of 9 nodes are not shown`)
	p.third()
	p.expect(20_000, Style{Width: 80}, `
Orders  7f0b5f0e-3f5e-4c53-9e0c-4b1f6a1f2f6d  COMPLETED  9.0s
● Begin                                 {"started":true}
● Ask the service                 2.8s  {"status":200,"body":{"orders":[1,2],"m…
● Each order                      0.4s  [null,20]
●   Sum                                 20
●   Book what was ordered by…     0.2s
● Release [2J                     5.8s  {"decision":"approve"}
· Wait a while                    9.0s  given up
· Rejected
● End                                   {"status":"success"}
output  {"sum":30}`)
	if lines := p.v.Lines(after(9000), Style{Width: 80, Color: true}); !strings.Contains(lines[1], "\x1b[32m●\x1b[0m Begin") {
		t.Errorf("%q", lines[1])
	}
}

func (p *tape) expect(ms int, s Style, want string) {
	p.t.Helper()
	lines := p.v.Lines(after(ms), s)
	if got := "\n" + strings.Join(lines, "\n"); got != want {
		p.t.Errorf("got%s\nwant%s", got, want)
	}
	for _, l := range lines {
		if n := len([]rune(l)); n > s.Width {
			p.t.Errorf("%d columns: %s", n, l)
		}
	}
}

// One line for each event, where nothing can be drawn anew.
func TestEvents(t *testing.T) {
	p := newTape(t)
	var got []string
	v := New("Orders", "id", graph.NewPlan(graphtest.Parse(t, definition)))
	p.first()
	p.second()
	p.third()
	for _, e := range p.log {
		v.Add(e)
		if line := v.Event(e, Style{Width: 80}); line != "" {
			got = append(got, line)
		}
	}
	want := strings.TrimPrefix(`
   0.0s  ● Begin  done  {"started":true}
   0.0s  ◐ Ask the service  running
   0.0s  ⏸ Wait a while  waits, 1m05s left
   0.6s  ↻ Ask the service  attempt 1 failed, again in 1.0s  no answer
   1.6s  ◐ Ask the service  running
   2.8s  ● Ask the service  done in 2.8s  {"status":200,"body":{"orders":[1,2],…
   2.8s  ◐ Each order  items: 3
   2.8s  ● Sum #1  done  10
   2.8s  ◐ Book what was ordered by everybody #1  running
   3.0s  ✗ Book what was ordered by everybody #1  failed in 0.2s  api.example.o…
   3.0s  ● Sum #2  done  20
   3.0s  ◐ Book what was ordered by everybody #2  running
   3.2s  ● Book what was ordered by everybody #2  done in 0.2s
   3.2s  ● Each order  done in 0.4s  [null,20]
   3.2s  ⏸ Release [2J  waits for a decision
   9.0s  ● Release [2J  done in 5.8s  {"decision":"approve"}
   9.0s  ● End  done  {"status":"success"}
   9.0s  ● Orders  COMPLETED  {"sum":30}`, "\n")
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

func TestScreen(t *testing.T) {
	var b strings.Builder
	s := NewScreen(&b)
	s.Draw([]string{"a", "b"})
	s.Draw([]string{"c"})
	s.Keep()
	s.Draw([]string{"d"})
	const line = "\r\x1b[2K%s\n"
	want := fmt.Sprintf(line+line+"\x1b[J", "a", "b") + "\x1b[2A" + fmt.Sprintf(line+"\x1b[J", "c") + fmt.Sprintf(line+"\x1b[J", "d")
	if b.String() != want {
		t.Errorf("got %q\nwant %q", b.String(), want)
	}
	if _, _, terminal := Size(&b); terminal {
		t.Error("a text is a terminal")
	}
}
