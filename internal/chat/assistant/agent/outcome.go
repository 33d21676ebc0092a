package agent

import (
	"bytes"
	"encoding/json"

	"github.com/roomcast/roomcast/events"
)

const (
	// maxResult bounds what the model gets of a result, in bytes of JSON.
	// There may be less room for it, down to leastResult.
	maxResult, leastResult = 16 << 10, 1 << 10
	// maxSummary bounds what people get of it, in bytes.
	maxSummary = 200
)

// An outcome is what came of a call: a result, or an error for the model.
type outcome struct {
	Result
	err error
}

func refused(format string, args ...any) outcome {
	return outcome{err: events.Errorf(events.CodeInvalidRequest, format, args...)}
}

// content is an outcome as the model gets it: an object that says what it is.
// What came from elsewhere is a value in it, so no text can end it.
func (o outcome) content(limit int) string {
	if o.err != nil {
		return object(map[string]any{"kind": "error", "error": start(o.err.Error(), limit)})
	}
	raw, err := encode(o.Data)
	if err != nil {
		return object(map[string]any{"kind": "error", "error": "the result is not JSON"})
	}
	if len(raw) > limit {
		return object(map[string]any{
			"kind": "data", "cut": true, "bytes": len(raw), "hint": "this is the beginning of a longer result: ask for less at once", "beginning": start(string(raw), limit),
		})
	}
	return object(map[string]any{"kind": "data", "data": raw})
}

func object(fields map[string]any) string {
	raw, err := encode(fields)
	if err != nil {
		return leftOut // fields are texts, numbers and JSON
	}
	return string(raw)
}

func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// summary is an outcome for people.
func (o outcome) summary() string {
	text := o.Summary
	switch {
	case o.err != nil:
		text = o.err.Error()
	case text == "":
		text = "done"
	}
	if short := start(text, maxSummary); short != text {
		return short + "…"
	}
	return text
}
