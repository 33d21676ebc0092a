package chat

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf16"
)

// A view is a conversation as one client sees it. It takes nothing that comes
// twice, or after something that is missing.
type view struct {
	room, epoch string
	entered     bool              // it was joined at least once
	log         map[uint64]string // what was said, by offset
	read        map[uint64]bool   // what of it came with joining, and not as an event
	answers     map[uint64]*answer
	approvals   map[string]*approval
	known       uint64 // what joining said to be there
	joining     bool
	fresh       bool // what is being said comes from its beginning
	deltas      int
	typing      bool
}

// An answer is one that comes in pieces.
type answer struct {
	text   string
	before string // what of it was there when the client came back
	units  int    // of text, as JavaScript counts
	last   uint64 // the offset of the latest piece
	ends   int
	finish string
	latest time.Time // when the latest piece came
	ended  time.Time
}

type approval struct {
	ID, Hash   string
	Decision   string
	By         string
	Outcomes   int
	OK         bool
	InstanceID string
}

type joinAck struct {
	OK         bool
	ChatRoomID string
	Epoch      string
	Offset     uint64
	Messages   []said
}

// said is a message as the history has it.
type said struct {
	Type, Text, FinishReason string
	Offset                   uint64
}

func newView(room string) view {
	return view{room: room, log: map[uint64]string{}, read: map[uint64]bool{}, answers: map[uint64]*answer{}, approvals: map[string]*approval{}}
}

// through is up to where the view has everything that was said.
func (v *view) through() uint64 {
	n := v.known
	for v.log[n+1] != "" {
		n++
	}
	return n
}

// begin is that the client asks to join.
func (v *view) begin() {
	v.joining, v.fresh = true, true
	for _, a := range v.answers {
		if a.ends == 0 {
			a.before, a.text, a.units = a.text, "", 0
		}
	}
}

// enter is the answer to that.
func (v *view) enter(in joinAck, since bool) error {
	v.room, v.epoch, v.entered = in.ChatRoomID, in.Epoch, true
	v.joining = false
	if !since {
		for _, m := range in.Messages {
			v.read[m.Offset] = v.read[m.Offset] || v.log[m.Offset] == ""
			v.log[m.Offset] = m.Text
		}
	}
	for n := uint64(1); n <= in.Offset; n++ {
		if v.log[n] == "" {
			return fmt.Errorf("message %d of %d is missing, since: %v", n, in.Offset, since)
		}
	}
	v.known = max(v.known, in.Offset)
	return nil
}

// event is what all events that are looked at have together.
type event struct {
	Text, FinishReason string
	Offset, ReplyTo    uint64
	At                 json.RawMessage
	Typing             bool

	ApprovalID, Hash, Decision, DecidedBy, InstanceID string
	OK                                                bool
}

// take takes an event, and returns what is wrong with it.
func (v *view) take(name string, payload []byte) error {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return fmt.Errorf("%s: %w", payload, err)
	}
	switch name {
	case "ai_chat_bot_message", "ai_chat_member_message":
		if v.read[e.Offset] && v.log[e.Offset] == e.Text {
			delete(v.read, e.Offset) // who repeats a message is told again what was said to it
			return nil
		}
		if v.log[e.Offset] != "" || e.Offset == 0 {
			return fmt.Errorf("twice: %s", payload)
		}
		if v.log[e.Offset] = e.Text; !v.joining && e.Offset > 1 && v.log[e.Offset-1] == "" {
			return fmt.Errorf("the one before is missing: %s", payload)
		}
	case "ai_chat_bot_stream_start":
		if v.answers[e.ReplyTo] != nil && !v.fresh {
			return fmt.Errorf("twice: %s", payload)
		}
		if v.answers[e.ReplyTo] == nil {
			v.answers[e.ReplyTo] = &answer{}
		}
		v.fresh = false
	case "ai_chat_bot_stream_delta":
		v.deltas++
		return v.delta(e)
	case "ai_chat_bot_stream_end":
		return v.end(e)
	case "ai_chat_bot_typing":
		v.typing = e.Typing
	case "gap":
		return fmt.Errorf("%s", payload)
	default:
		v.decided(name, e)
	}
	return nil
}

func (v *view) delta(e event) error {
	var at int
	json.Unmarshal(e.At, &at)
	a := v.answers[e.ReplyTo]
	switch {
	case a == nil:
		return fmt.Errorf("a piece of %d, which has not begun", e.ReplyTo)
	case a.ends > 0:
		return fmt.Errorf("a piece of %d, which has ended", e.ReplyTo)
	case at != a.units:
		return fmt.Errorf("piece %d of %d units at %d, after piece %d that ends at %d", e.Offset, len(e.Text), at, a.last, a.units)
	}
	a.last = e.Offset
	a.text += e.Text
	a.units += len(utf16.Encode([]rune(e.Text)))
	a.latest = time.Now()
	if n := min(len(a.text), len(a.before)); a.text[:n] != a.before[:n] {
		return fmt.Errorf("%q has become %q", a.before, a.text)
	}
	return nil
}

func (v *view) end(e event) error {
	a := v.answers[e.ReplyTo]
	if a == nil {
		return fmt.Errorf("of %d, which has not begun", e.ReplyTo)
	}
	if a.ends++; a.ends > 1 {
		return fmt.Errorf("of %d, which has ended", e.ReplyTo)
	}
	a.finish, a.ended = e.FinishReason, time.Now()
	if a.text != e.Text {
		return fmt.Errorf("the pieces of %d are %d long and the text %d", e.ReplyTo, len(a.text), len(e.Text))
	}
	return nil
}

func (v *view) decided(name string, e event) {
	if e.ApprovalID == "" {
		return
	}
	a := v.approvals[e.ApprovalID]
	if a == nil {
		a = &approval{ID: e.ApprovalID}
		v.approvals[e.ApprovalID] = a
	}
	switch name {
	case "ai_chat_approval_required":
		a.Hash = e.Hash
	case "ai_chat_approval_resolved":
		a.Decision, a.By = e.Decision, e.DecidedBy
	case "ai_chat_approval_outcome":
		a.Outcomes++
		a.OK, a.InstanceID = e.OK, e.InstanceID
	}
}
