package events

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// maxQuoted bounds what an error repeats of one value, in bytes. It is more
// than any list of choices that errors offer.
const maxQuoted = 256

// Shorten bounds a text that becomes part of an error. It cuts between two
// characters and marks it.
func Shorten(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	end := maxQuoted
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.ToValidUTF8(s[:end], "\uFFFD") + "…"
}

// short returns the arguments of a format with texts shortened, also those of
// errors and of types that are strings.
func short(args []any) []any {
	out := make([]any, len(args))
	for i, arg := range args {
		out[i] = arg
		switch v := arg.(type) {
		case error:
			out[i] = Shorten(v.Error())
		case fmt.Stringer:
			out[i] = Shorten(v.String())
		default:
			if r := reflect.ValueOf(arg); r.Kind() == reflect.String && r.Len() > maxQuoted {
				out[i] = Shorten(r.String())
			}
		}
	}
	return out
}
