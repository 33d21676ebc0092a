package runview

import (
	"fmt"
	"strings"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// A Style is how lines are written.
type Style struct {
	Width int // in characters
	// Height bounds the lines of a view; 0 is no bound.
	Height int
	Color  bool
}

// look is how a state is shown.
type look struct{ symbol, color string }

var looks = map[interpreter.NodeState]look{
	interpreter.StateWaiting:   {"○", "2"},
	interpreter.StateRunning:   {"◐", "36"},
	interpreter.StateSuspended: {"⏸", "33"},
	interpreter.StateRetrying:  {"↻", "33"},
	interpreter.StateDone:      {"●", "32"},
	interpreter.StateFailed:    {"✗", "31"},
	interpreter.StateSkipped:   {"·", "2"},
}

func (s Style) paint(color, text string) string {
	if !s.Color || color == "" || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// The widths of the columns of a view.
const (
	maxTitle  = 28
	timeWidth = 7
)

// Lines is the run as it is now, no line wider than the style says.
func (v *View) Lines(now time.Time, s Style) []string {
	nodes := v.progress()
	width := 0
	for _, p := range nodes {
		width = max(width, 2*p.Depth+len([]rune(printable(p.Title))))
	}
	width = min(width, maxTitle, max(s.Width-timeWidth-6, 8))
	var lines []string
	for _, p := range nodes {
		lines = append(lines, v.line(p, now, width, s))
	}
	head := []string{v.head(now, s)}
	foot := v.foot(s)
	if room := s.Height - len(head) - len(foot) - 1; s.Height > 0 && len(lines) > max(room, 1) {
		lines = around(lines, nodes, max(room, 1), s)
	}
	return append(append(head, lines...), foot...)
}

func (v *View) head(now time.Time, s Style) string {
	status, end := events.RunRunning, now
	switch {
	case v.m.Ended() != nil:
		status, end = v.m.Ended().Status, v.at
	case !v.m.Begun():
		status = events.RunPending
	}
	tail := fmt.Sprintf("  %s  %s", status, took(end.Sub(v.began)))
	return s.paint("1", fit(v.title+"  "+v.id, s.Width-len(tail))) + tail
}

func (v *View) line(p interpreter.NodeProgress, now time.Time, width int, s Style) string {
	l := looks[p.State]
	elapsed := ""
	if o := v.nodes[p.ID]; o != nil && p.State != interpreter.StateWaiting {
		switch end := o.ended; {
		case end.IsZero() && v.m.Ended() != nil:
			elapsed = took(v.at.Sub(o.began))
		case end.IsZero():
			elapsed = took(now.Sub(o.began))
		case end.After(o.began):
			elapsed = took(end.Sub(o.began))
		}
	}
	text := pad(strings.Repeat("  ", p.Depth)+printable(p.Title), width) + " " + fmt.Sprintf("%*s", timeWidth, elapsed)
	note := fit(v.note(p, now), s.Width-len([]rune(text))-4)
	if note != "" {
		text += "  "
	}
	return strings.TrimRight(s.paint(l.color, l.symbol)+" "+text+s.paint(noteColor(p.State), note), " ")
}

func noteColor(state interpreter.NodeState) string {
	if state == interpreter.StateFailed {
		return "31"
	}
	return "2"
}

// note is what there is to say about a node besides its state.
func (v *View) note(p interpreter.NodeProgress, now time.Time) string {
	o := v.nodes[p.ID]
	switch p.State {
	case interpreter.StateRunning:
		if p.Items > 0 {
			return fmt.Sprintf("%d/%d", p.Item+1, p.Items)
		}
	case interpreter.StateSuspended:
		return waitsFor(p, now)
	case interpreter.StateRetrying:
		return fmt.Sprintf("attempt %d in %s: %s", p.Attempt+1, took(p.Until.Sub(now)), o.note)
	case interpreter.StateDone, interpreter.StateFailed:
		if o != nil {
			return o.note
		}
	case interpreter.StateSkipped:
		if o != nil && o.ended.IsZero() {
			return "given up"
		}
	}
	return ""
}

func waitsFor(p interpreter.NodeProgress, now time.Time) string {
	what := "waits"
	switch {
	case p.Type == "approval":
		what = "waits for a decision"
	case p.Asks:
		what = "waits for input"
	case p.Child != "":
		return "waits for run " + p.Child
	}
	if p.Until.IsZero() {
		return what
	}
	return what + ", " + took(p.Until.Sub(now)) + " left"
}

// foot is how the run ended.
func (v *View) foot(s Style) []string {
	end := v.m.Ended()
	if end == nil {
		return nil
	}
	var lines []string
	if end.Error != "" {
		lines = append(lines, s.paint("31", fit("error   "+printable(end.Error), s.Width)))
	}
	if out := shown(end.Output); out != "" {
		lines = append(lines, fit("output  "+out, s.Width))
	}
	return lines
}

// around leaves of many lines those around the first node that is at work.
func around(lines []string, nodes []interpreter.NodeProgress, room int, s Style) []string {
	at := 0
	for i, p := range nodes {
		if p.State != interpreter.StateDone && p.State != interpreter.StateSkipped {
			at = i
			break
		}
		at = i
	}
	keep := max(room-1, 1)
	from := min(max(at-keep/2, 0), len(lines)-keep)
	hidden := fmt.Sprintf("  … %d of %d nodes are not shown", len(lines)-keep, len(lines))
	return append(append([]string(nil), lines[from:from+keep]...), s.paint("2", fit(hidden, s.Width)))
}
