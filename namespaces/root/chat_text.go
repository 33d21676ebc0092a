package root

import (
	"encoding/json"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
)

// chatText is what a user said, in any of the forms that clients send it in:
// a text, a text with an action, or a history that ends with it.
type chatText struct {
	Text   string      `json:"text"`
	Action chat.Action `json:"action,omitempty"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *chatText) UnmarshalJSON(b []byte) error {
	type plain chatText
	switch b[0] {
	case '"':
		return json.Unmarshal(b, &t.Text)
	case '[':
		var history []struct {
			Type, Text string
		}
		if err := json.Unmarshal(b, &history); err != nil {
			return err
		}
		if len(history) == 0 || history[len(history)-1].Type != string(chat.User) {
			return events.FieldErrorf("message", "does not end with a message of the user")
		}
		t.Text = history[len(history)-1].Text
		return nil
	}
	if err := json.Unmarshal(b, (*plain)(t)); err != nil {
		return err
	}
	switch t.Action {
	case chat.None, chat.Test, chat.Approve, chat.Reject:
		return nil
	}
	return events.FieldErrorf("message.action", "%q is not one of test, approve, reject", t.Action)
}
