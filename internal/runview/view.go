// Package runview shows a run in a terminal: as lines that are drawn anew
// whenever something happens, or, where that is not possible, as one line for
// each thing that happens.
//
// What it shows follows from the entries of the run, which may come from a
// store or from a server. It shows texts of others, so nothing of them but
// what can be printed reaches the terminal.
package runview

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// A View is what is known of a run. It is not safe for concurrent use.
type View struct {
	title, id string
	plan      *graph.Plan
	m         *interpreter.Machine
	began     time.Time
	at        time.Time // of the latest entry
	nodes     map[string]*outcome
}

// outcome is what became of a node the last time.
type outcome struct {
	began, ended time.Time
	failed       bool
	note         string // the output, or the error
}

// New returns the view of a run of which nothing is known but the definition
// that it began with, which may be empty.
func New(title, id string, plan *graph.Plan) *View {
	return &View{title: printable(title), id: printable(id), plan: plan, m: interpreter.New(plan, interpreter.Options{RunID: id}), nodes: map[string]*outcome{}}
}

// Seq is the number of the latest entry.
func (v *View) Seq() uint64 { return v.m.Seq() }

// Ended returns how the run ended, nil while it goes on.
func (v *View) Ended() *interpreter.Ending { return v.m.Ended() }

// Add takes the next entry. One that it has is ignored.
func (v *View) Add(e interpreter.Entry) {
	if e.Seq <= v.m.Seq() {
		return
	}
	v.m.Apply(e)
	v.at = e.At
	if v.began.IsZero() {
		v.began = e.At
	}
	if e.Node == "" {
		return
	}
	o := v.nodes[e.Node]
	if o == nil || !o.ended.IsZero() {
		o = &outcome{began: e.At}
		v.nodes[e.Node] = o
	}
	switch e.Type {
	case interpreter.NodeCompleted:
		o.ended, o.note = e.At, shown(interpreter.Decode[interpreter.Completion](e).Output)
	case interpreter.NodeFailed:
		o.ended, o.failed, o.note = e.At, true, printable(interpreter.Decode[interpreter.Failure](e).Error)
	case interpreter.NodeRetry:
		o.note = printable(interpreter.Decode[interpreter.Retry](e).Error)
	}
}

// progress is that of the nodes, with what the interpreter does not tell apart.
func (v *View) progress() []interpreter.NodeProgress {
	list := v.m.Progress()
	for i := range list {
		p := &list[i]
		switch o := v.nodes[p.ID]; {
		case p.State == interpreter.StateDone && o != nil && o.failed:
			p.State = interpreter.StateFailed
		case v.m.Ended() != nil && p.State != interpreter.StateDone:
			p.State = interpreter.StateSkipped // nothing comes of it any more
		}
	}
	return list
}

// took is how long something took, short.
func took(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	default:
		d = d.Round(time.Second)
	}
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// shown is an output as it is shown, "" if there is nothing to see.
func shown(raw json.RawMessage) string {
	switch s := printable(string(raw)); s {
	case "", "null", "{}":
		return ""
	default:
		return s
	}
}

// longest bounds texts before they are fitted to a line.
const longest = 500

// printable leaves of a text what moves no cursor.
func printable(s string) string {
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

// fit cuts a text to a width.
func fit(s string, width int) string {
	runes := []rune(s)
	switch {
	case width <= 0:
		return ""
	case len(runes) > width:
		return strings.TrimRight(string(runes[:width-1]), " ") + "…"
	}
	return s
}

// pad is fit, filled with blanks.
func pad(s string, width int) string {
	s = fit(s, width)
	return s + strings.Repeat(" ", max(width-len([]rune(s)), 0))
}

// Pending returns the inputs that the run waits for, oldest first.
func (v *View) Pending() []events.WorkflowDataCollectionRequest { return v.m.Pending() }

// Node returns a node of the run as it is planned.
func (v *View) Node(id string) *graph.PlanNode { return v.m.Node(id) }
