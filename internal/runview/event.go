package runview

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// Event is an entry as one line, "" if there is nothing to tell. The view has
// taken the entry.
func (v *View) Event(e interpreter.Entry, s Style) string {
	state, what, note := v.tell(e)
	if what == "" {
		return ""
	}
	name := v.title
	if e.Node != "" {
		name = printable(v.m.Node(e.Node).Title()) + item(e.Iteration)
	}
	l := looks[state]
	line := fmt.Sprintf("%*s  ", timeWidth, took(e.At.Sub(v.began)))
	text := name + "  " + what
	if note != "" {
		text += "  " + note
	}
	return line + s.paint(l.color, l.symbol) + " " + fit(text, max(s.Width-timeWidth-4, 20))
}

// item names the pass of a loop from one: that of an outer loop first.
func item(iteration string) string {
	if iteration == "" {
		return ""
	}
	var numbers []string
	for text := range strings.SplitSeq(iteration, ".") {
		n, _ := strconv.Atoi(text) // written by the interpreter
		numbers = append(numbers, strconv.Itoa(n+1))
	}
	return " #" + strings.Join(numbers, ".")
}

// tell says what happened, "" if it is nothing to people.
func (v *View) tell(e interpreter.Entry) (state interpreter.NodeState, what, note string) {
	o := v.nodes[e.Node]
	switch e.Type {
	case interpreter.NodeDispatched:
		return interpreter.StateRunning, "running", ""
	case interpreter.NodeSuspended:
		return interpreter.StateSuspended, v.suspended(e), ""
	case interpreter.NodeRetry:
		r := interpreter.Decode[interpreter.Retry](e)
		return interpreter.StateRetrying, fmt.Sprintf("attempt %d failed, again in %s", r.Attempt, took(r.Until.Sub(e.At))), o.note
	case interpreter.LoopStarted:
		return interpreter.StateRunning, fmt.Sprintf("items: %d", len(interpreter.Decode[interpreter.Loop](e).Items)), ""
	case interpreter.NodeCompleted:
		return interpreter.StateDone, "done" + v.duration(e), o.note
	case interpreter.NodeFailed:
		return interpreter.StateFailed, "failed" + v.duration(e), o.note
	case interpreter.RunEnded:
		return v.ended(e)
	}
	return "", "", ""
}

func (v *View) suspended(e interpreter.Entry) string {
	for _, p := range v.m.Progress() {
		if p.ID == e.Node {
			return waitsFor(p, e.At)
		}
	}
	return "waits"
}

func (v *View) duration(e interpreter.Entry) string {
	if d := e.At.Sub(v.nodes[e.Node].began); d >= 50*time.Millisecond {
		return " in " + took(d)
	}
	return ""
}

func (v *View) ended(e interpreter.Entry) (state interpreter.NodeState, what, note string) {
	end := interpreter.Decode[interpreter.Ending](e)
	state = interpreter.StateFailed
	if end.Error == "" {
		state = interpreter.StateDone
	}
	return state, string(end.Status), strings.TrimSpace(printable(end.Error) + " " + shown(end.Output))
}
