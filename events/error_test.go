package events

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// What a client sent comes back shortened, and the rest of the message whole.
func TestErrorsAreBounded(t *testing.T) {
	long := strings.Repeat("ö", 100_000)
	type name string
	for _, e := range []*Error{
		Errorf(CodeNotFound, "%s: choose another", long),
		Errorf(CodeNotFound, "%q: choose another", name(long)),
		Errorf(CodeNotFound, "%v: choose another", errors.New(long)),
		FieldErrorf(long, "%v: choose another", long),
		FieldErrorf("f", "%q: choose another", strings.Repeat("\xff", 5000)),
		NotFound("room: choose another", long),
	} {
		if len(e.Message) > 2000 || len(e.Field) > 300 || !strings.Contains(e.Message, "choose another") || !utf8.ValidString(e.Message) {
			t.Errorf("%d bytes in field %d: %.80s…", len(e.Message), len(e.Field), e.Message)
		}
	}
	if e := Errorf(CodeTimeout, "%s took %d times %v, not %s", "x", 2, time.Second, name("y")); e.Message != "x took 2 times 1s, not y" {
		t.Error(e.Message)
	}
}
