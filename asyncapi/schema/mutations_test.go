package schema_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"
)

// strange are values to put where others were, as they are written.
var strange = []string{
	`null`, `true`, `false`, `0`, `-1`, `1.0`, `1e0`, `1.5`, `10e-1`, `123456789012345678901234567890`,
	`""`, `"x"`, `"success"`, `"\u0073uccess"`, `"\ud83d\ude00"`, `"\ud83d"`, "\"\xff\"",
	`"7c9e6679-7425-40de-944b-e07fc1f90ae7"`, `"\u0037c9e6679-7425-40de-944b-e07fc1f90ae7"`,
	`"2026-01-02T15:04:05Z"`, `"2026-02-30T15:04:05Z"`, `"2016-12-31T23:59:60Z"`,
	`[]`, `[null]`, `[[[[[]]]]]`, `{}`, `{"a":{"a":{"a":[]}}}`, `{"a":1,"a":2}`, `{"\u0061":1}`,
	`"` + strings.Repeat("é", 128) + `"`, `"` + strings.Repeat("é", 129) + `"`,
	`"` + strings.Repeat(`\u00e9`, 128) + `"`, `"` + strings.Repeat(`\u00e9`, 129) + `"`,
	` {"ok" : true } `, `tru`, `{`, `"`, `01`, ``,
}

// mutations yields JSON, and what nearly is, that differs from a value in one
// place.
func mutations(value any) iter.Seq[string] {
	return func(yield func(string) bool) {
		alter(value, func(s string) { yield(s) })
	}
}

// alter calls emit with every variation of a value.
func alter(value any, emit func(string)) {
	emit(encode(value))
	for _, s := range strange {
		emit(s)
	}
	switch v := value.(type) {
	case string:
		emit(escaped(v))
		emit(encode(v + v))
		emit(encode(strings.ToUpper(v)))
	case []any:
		items := make([]string, len(v))
		for i := range v {
			items[i] = encode(v[i])
		}
		for i := range v {
			alter(v[i], func(s string) {
				changed := slices.Clone(items)
				changed[i] = s
				emit("[" + strings.Join(changed, ",") + "]")
			})
			emit("[" + strings.Join(slices.Delete(slices.Clone(items), i, i+1), " , ") + "]")
		}
	case map[string]any:
		alterObject(v, emit)
	}
}

func alterObject(v map[string]any, emit func(string)) {
	names := slices.Sorted(maps.Keys(v))
	write := func(without, more string) {
		var members []string
		for _, name := range names {
			if name != without {
				members = append(members, encode(name)+":"+encode(v[name]))
			}
		}
		if more != "" {
			members = append(members, more)
		}
		emit("{" + strings.Join(members, ",") + "}")
		slices.Reverse(members)
		emit("{ " + strings.Join(members, "\n,") + "\t}")
	}
	for _, name := range names {
		write(name, "")
		write(name, escaped(name)+":"+encode(v[name]))
		write(name, encode(strings.ToUpper(name))+":"+encode(v[name]))
		write("", encode(name)+":"+encode(v[name])) // twice
		write("", encode(name)+":null")             // twice, and differing
		alter(v[name], func(s string) { write(name, encode(name)+":"+s) })
	}
	for _, more := range []string{`"extra":1`, `"":[]`, `"firebaseID":"ada"`, `"error":"x"`, `"output":{"a":1,"a":2}`, `"x"`, `"x":`, `1:2`} {
		write("", more)
	}
}

func encode(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// escaped writes every character of a string as an escape.
func escaped(s string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04x`, unit)
	}
	return `"` + b.String() + `"`
}
