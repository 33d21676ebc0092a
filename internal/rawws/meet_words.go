package rawws

import (
	"encoding/json"

	"github.com/roomcast/roomcast/internal/meet"
)

// What the server says to clients of the dialect meet. room_id is there where
// clients name the meeting in each frame.
type (
	meetPong struct {
		Type      string `json:"type"`
		Timestamp string `json:"timestamp"`
	}
	meetError struct {
		Type    string `json:"type"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	// meetJoined answers join: Participants are the others.
	meetJoined struct {
		Type          string       `json:"type"`
		RoomID        string       `json:"room_id"`
		ParticipantID string       `json:"participant_id"`
		Participants  []meetMember `json:"participants"`
	}
	meetMember struct {
		ParticipantID   string `json:"participant_id"`
		ID              string `json:"id"`
		ParticipantName string `json:"participant_name"`
		Name            string `json:"name"`
		Muted           bool   `json:"muted"`
	}
	// meetList is all who are there; ParticipantID is who it is said to.
	meetList struct {
		Type          string          `json:"type"`
		ParticipantID string          `json:"participant_id,omitempty"`
		Participants  []meetListEntry `json:"participants"`
	}
	meetListEntry struct {
		ID    string `json:"id"`
		Name  string `json:"name"`
		Muted bool   `json:"muted"`
	}
	// meetAbout is about a participant.
	meetAbout struct {
		Type            string          `json:"type"`
		RoomID          string          `json:"room_id,omitempty"`
		ParticipantID   string          `json:"participant_id"`
		ParticipantName string          `json:"participant_name,omitempty"`
		Reason          meet.Reason     `json:"reason,omitempty"`
		Muted           *bool           `json:"muted,omitempty"`
		Emoji           json.RawMessage `json:"emoji,omitempty"`
	}
	// meetFrom is what a participant sent.
	meetFrom struct {
		Type      string          `json:"type"`
		RoomID    string          `json:"room_id,omitempty"`
		FromID    string          `json:"from_id"`
		FromName  string          `json:"from_name,omitempty"`
		Signal    json.RawMessage `json:"signal,omitempty"`
		SDP       json.RawMessage `json:"sdp,omitempty"`
		Candidate json.RawMessage `json:"candidate,omitempty"`
		Content   json.RawMessage `json:"content,omitempty"`
		Timestamp string          `json:"timestamp,omitempty"`
	}
)

// bareWords are those of clients that name the meeting in each frame.
func bareWords(room string, n meet.Notice) []any {
	switch n.Kind {
	case meet.Entered:
		joined := meetJoined{"joined", room, n.Member.ID, []meetMember{}}
		for _, m := range n.Members {
			joined.Participants = append(joined.Participants, meetMember{m.ID, m.ID, m.Name, m.Name, m.Muted})
		}
		return []any{joined}
	case meet.Came:
		return []any{meetAbout{Type: "participant_joined", RoomID: room, ParticipantID: n.Member.ID, ParticipantName: n.Member.Name}}
	case meet.Went, meet.Removed:
		return []any{meetAbout{Type: "participant_left", RoomID: room, ParticipantID: n.Member.ID, Reason: n.Reason}}
	case meet.Signalled:
		return []any{meetFrom{Type: "signal", RoomID: room, FromID: n.Member.ID, Signal: asSignal(n)}}
	}
	return sharedWords(room, n)
}

// pathWords are those of clients that came to the path of the meeting.
func pathWords(n meet.Notice) []any {
	switch n.Kind {
	case meet.Entered:
		var all []any
		for _, m := range n.Members {
			all = append(all, meetAbout{Type: "user_joined", ParticipantID: m.ID, ParticipantName: m.Name})
		}
		return append(all, listOf(n.Member.ID, append(n.Members[:len(n.Members):len(n.Members)], n.Member)))
	case meet.Came:
		return []any{meetAbout{Type: "user_joined", ParticipantID: n.Member.ID, ParticipantName: n.Member.Name}}
	case meet.Went, meet.Removed:
		return []any{meetAbout{Type: "user_left", ParticipantID: n.Member.ID, Reason: n.Reason}}
	case meet.Muted: // its clients know who is muted from the list
		return append(sharedWords("", n), listOf("", n.Members))
	case meet.Signalled:
		return []any{asRelayed(n)}
	}
	return sharedWords("", n)
}

func listOf(self string, members []meet.Member) meetList {
	l := meetList{"participant_list", self, []meetListEntry{}}
	for _, m := range members {
		l.Participants = append(l.Participants, meetListEntry{m.ID, m.Name, m.Muted})
	}
	return l
}

// sharedWords are those that are the same for all.
func sharedWords(room string, n meet.Notice) []any {
	about := meetAbout{Type: n.Event, RoomID: room, ParticipantID: n.Member.ID}
	switch {
	case n.Kind == meet.Muted:
		about.Type, about.Muted = "mute", &n.Member.Muted
	case n.Kind != meet.Said:
		return nil
	case n.Event == "chat_message":
		return []any{meetFrom{Type: n.Event, RoomID: room, FromID: n.Member.ID, FromName: n.Member.Name, Content: n.Body, Timestamp: clock(n.At)}}
	case n.Event == "reaction":
		about.Emoji = n.Body
	}
	return []any{about}
}

// A description is an offer or an answer.
type description struct {
	Type string          `json:"type"`
	SDP  json.RawMessage `json:"sdp"`
}

func (d description) is() bool { return (d.Type == "offer" || d.Type == "answer") && d.SDP != nil }

// asSignal returns what was signalled as a value of the browser's own shape:
// {type, sdp} for descriptions, {type: "candidate", candidate} for candidates.
func asSignal(n meet.Notice) json.RawMessage {
	var v any
	switch n.Event {
	case "offer", "answer":
		if begins(n.Body, '{') { // a whole description already
			return n.Body
		}
		v = description{n.Event, n.Body}
	case "ice_candidate":
		v = struct {
			Type      string          `json:"type"`
			Candidate json.RawMessage `json:"candidate"`
		}{"candidate", n.Body}
	default:
		return n.Body
	}
	text, _ := encode(v)
	return text
}

// asRelayed returns what was signalled as the frame that clients have a word
// for, if it is a description or a candidate in one of the usual shapes.
func asRelayed(n meet.Notice) meetFrom {
	from := meetFrom{Type: n.Event, FromID: n.Member.ID}
	switch n.Event {
	case "offer", "answer":
		from.SDP = n.Body
		return from
	case "ice_candidate":
		from.Candidate = n.Body
		return from
	}
	var signal struct {
		description
		Description description     `json:"description"`
		Candidate   json.RawMessage `json:"candidate"`
	}
	json.Unmarshal(n.Body, &signal) // what it is not, it does not say
	switch {
	case signal.is():
		from.Type, from.SDP = signal.Type, signal.SDP
	case signal.Description.is():
		from.Type, from.SDP = signal.Description.Type, signal.Description.SDP
	case begins(signal.Candidate, '{'):
		from.Type, from.Candidate = "ice_candidate", signal.Candidate
	case begins(signal.Candidate, '"'): // the whole value is the candidate
		from.Type, from.Candidate = "ice_candidate", n.Body
	default:
		from.Signal = n.Body
	}
	return from
}
