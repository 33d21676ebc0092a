package events

import (
	"encoding/json"
	"testing"
)

func TestWithOffset(t *testing.T) {
	for payload, want := range map[string]string{
		`{}`:              `{"offset":7}`,
		`{"a":{"b":"}"}}`: `{"a":{"b":"}"},"offset":7}`,
		`[1]`:             `[1]`,
		`"x"`:             `"x"`,
		``:                ``,
	} {
		if got := string(WithOffset(JSON(payload), 7)); got != want {
			t.Errorf("%s became %s", payload, got)
		}
	}
	got, err := Encode(Numbered{AIChatBotMessage{Text: "<x>"}, 1<<64 - 1})
	if err != nil || string(got) != `{"text":"\u003cx\u003e","offset":18446744073709551615}` {
		t.Error(string(got), err)
	}
	if got, err := Encode(AIChatBotMessage{Text: "x"}); err != nil || string(got) != `{"text":"x"}` {
		t.Error(string(got), err)
	}
	if got, err := Encode(Numbered{unspeakable{}, 1}); err == nil {
		t.Errorf("%s", got)
	}
}

type unspeakable struct{ C chan int }

func (unspeakable) EventName() string { return "e" }

// The original is not changed: others may be reading it.
func TestWithOffsetCopies(t *testing.T) {
	payload := make(JSON, 0, 100)
	payload = append(payload, `{"a":1}`...)
	WithOffset(payload, 7)
	if !json.Valid(payload) || string(payload[:cap(payload)][7:10]) != "\x00\x00\x00" {
		t.Errorf("%s", payload[:cap(payload)])
	}
}
