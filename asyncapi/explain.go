package asyncapi

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/roomcast/roomcast/events"
)

// Explain turns the errors of a schema into one sentence about one field, for
// the people who sent it; nil if err is not about a value that does not match.
func Explain(err error) *events.Error {
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return nil
	}
	leaf := mostTelling(invalid)
	path, text := leaf.InstanceLocation, ""
	switch k := leaf.ErrorKind.(type) {
	case *kind.Required:
		path, text = append(path[:len(path):len(path)], k.Missing[0]), "is missing"
	case *kind.AdditionalProperties:
		path, text = append(path[:len(path):len(path)], k.Properties[0]), "is not a field here"
	case *kind.MinLength:
		text = fmt.Sprintf("has %d characters, at least %d are needed", k.Got, k.Want)
		if k.Got == 0 {
			text = "is empty"
		}
	case *kind.Format:
		text = fmt.Sprintf("is not a valid %s", k.Want)
		if k.Want == "uuid" {
			text = "is not a UUID"
		}
	default:
		text = leaf.ErrorKind.LocalizedString(printer)
	}
	return events.FieldErrorf(field(path), "%s", text)
}

var printer = message.NewPrinter(language.English)

// mostTelling finds the violation that says most: the deepest, and among
// equals one about a value of the right type. Where several shapes are
// allowed, that is the shape that was probably meant.
func mostTelling(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	var best *jsonschema.ValidationError
	for _, cause := range e.Causes {
		leaf := mostTelling(cause)
		switch {
		case best == nil,
			len(leaf.InstanceLocation) > len(best.InstanceLocation),
			len(leaf.InstanceLocation) == len(best.InstanceLocation) && aboutType(best) && !aboutType(leaf):
			best = leaf
		}
	}
	if best == nil {
		return e
	}
	return best
}

func aboutType(e *jsonschema.ValidationError) bool {
	_, ok := e.ErrorKind.(*kind.Type)
	return ok
}

// field writes a location as a path: message.text, items[2].
func field(path []string) string {
	var b strings.Builder
	for _, part := range path {
		if _, err := strconv.Atoi(part); err == nil {
			b.WriteString("[" + part + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	if b.Len() == 0 {
		return "payload"
	}
	return b.String()
}
