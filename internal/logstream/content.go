package logstream

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/roomcast/roomcast/events"
)

// What a line in the ring takes at most, in bytes: much of what is logged came
// from clients, and the ring holds thousands of lines. What is written to the
// log itself is not cut, since stacks are longer.
const (
	maxText = 1 << 10
	maxLine = 8 << 10
)

// content writes the fields of a line as JSON. Texts that are too long are
// cut, and fields that are then still too much are counted instead.
func content(fields map[string]any) events.JSON {
	const closing = len(`,"omitted":1000}`)
	line := []byte(`{"message":`)
	message, _ := json.Marshal(cut(fields["message"]))
	line = append(line, message...)
	omitted := 0
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if key == "message" {
			continue
		}
		field, err := json.Marshal(map[string]any{shorten(key): cut(fields[key])})
		if err != nil || len(line)+len(field)+closing > maxLine {
			omitted++
			continue
		}
		line = append(append(line, ','), field[1:len(field)-1]...)
	}
	if omitted > 0 {
		n, _ := json.Marshal(map[string]int{"omitted": omitted})
		line = append(append(line, ','), n[1:len(n)-1]...)
	}
	return append(line, '}')
}

// cut shortens the texts in a value.
func cut(v any) any {
	switch v := v.(type) {
	case string:
		return shorten(v)
	case map[string]any:
		short := make(map[string]any, len(v))
		for k, e := range v {
			short[shorten(k)] = cut(e)
		}
		return short
	case []any:
		short := make([]any, len(v))
		for i := range v {
			short[i] = cut(v[i])
		}
		return short
	}
	return v
}

// shorten cuts a text between two characters and marks it.
func shorten(s string) string {
	const mark = "…"
	if len(s) <= maxText {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	end := maxText - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.ToValidUTF8(s[:end], "\uFFFD") + mark
}
