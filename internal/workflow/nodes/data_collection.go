package nodes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/roomcast/roomcast/asyncapi"
	"github.com/roomcast/roomcast/events"
)

// dataCollection waits for people's input. Its settings:
//
//	collectionType   form (default) or api
//	title, description
//	formSchema       a JSON Schema that the input must match
//	formUischema     how to show the form; passed on
//	expiryMinutes    how long to wait (60), 0 is for ever
//	outputVariable   where the input goes (collectedData)
type dataCollection struct{}

// In minutes. Beyond a year an expiry is a mistake of unit; 0 is for ever.
const (
	defaultExpiry = 60
	maxExpiry     = int(maxDelay / time.Minute)
)

func (dataCollection) Pure() bool { return true }

func (dataCollection) Handles(Data) []string { return single }

func (dataCollection) Check(d Data) []Problem {
	switch d.String("collectionType") {
	case "", "form", "api":
	default:
		return problem("collectionType", "%q is not one of form, api", d.String("collectionType"))
	}
	if p := checkExpiry(d); p != nil {
		return p
	}
	if err := CheckInput(d["formSchema"], nil); err != nil && !errors.As(err, new(*InputError)) {
		return problem("formSchema", "%v", err)
	}
	return nil
}

func checkExpiry(d Data) []Problem {
	if v, given := d["expiryMinutes"]; given {
		if n, ok := toNumber(v); !ok || n < 0 || n > float64(maxExpiry) || n != math.Trunc(n) {
			return problem("expiryMinutes", "is not a whole number from 0, which is for ever, to %d", maxExpiry)
		}
	}
	return nil
}

// ask returns what a node waits for that asks people.
func ask(in *Input, call Call) *Suspension {
	in.ExpiryMinutes = defaultExpiry
	if n, ok := call.Data.Number("expiryMinutes"); ok {
		in.ExpiryMinutes = int(min(max(n, 0), float64(maxExpiry)))
	}
	s := &Suspension{Input: in}
	if in.ExpiryMinutes > 0 {
		s.Until = call.Now.Add(time.Duration(in.ExpiryMinutes) * time.Minute)
	}
	return s
}

func (dataCollection) Run(_ context.Context, call Call) (Result, error) {
	in := &Input{
		Type:           call.Data.String("collectionType"),
		Title:          call.Data.String("title"),
		Description:    call.Data.String("description"),
		FormSchema:     call.Source["formSchema"],
		FormUISchema:   call.Source["formUischema"],
		OutputVariable: call.Data.String("outputVariable"),
	}
	if in.Type == "" {
		in.Type = "form"
	}
	if in.OutputVariable == "" {
		in.OutputVariable = DefaultVariable("dataCollection")
	}
	return Result{Suspend: ask(in, call)}, nil
}

// An InputError says which part of an input does not match its schema. Field
// is "payload" for the whole.
type InputError struct{ Field, Message string }

func (e *InputError) Error() string { return e.Message }

// Named returns the error as clients may see it, for data that they call field.
func (e *InputError) Named(field string) error {
	path := field
	if e.Field != "payload" {
		path += "." + e.Field
	}
	return events.FieldErrorf(path, "%s", strings.TrimPrefix(e.Message, e.Field+": "))
}

// CheckInput reports whether data matches a form's schema, as decoded from
// JSON; nil is no schema. A mismatch is an *InputError, other errors are about
// the schema.
func CheckInput(schema, data any) error {
	if schema == nil {
		return nil
	}
	raw, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.UseLoader(noLoader{})
	if err := c.AddResource("form", doc); err != nil {
		return err
	}
	compiled, err := c.Compile("form")
	if err != nil {
		return schemaError(err)
	}
	err = compiled.Validate(data)
	if e := asyncapi.Explain(err); e != nil {
		return &InputError{Field: e.Field, Message: e.Message}
	}
	return err
}

// schemaError says what is wrong with a schema, without where it was compiled.
func schemaError(err error) error {
	var invalid *jsonschema.SchemaValidationError
	if errors.As(err, &invalid) {
		if e := asyncapi.Explain(invalid.Err); e != nil {
			return fmt.Errorf("is not a JSON Schema: %s", e.Message)
		}
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("is not a JSON Schema: %s", line)
}

// noLoader keeps schemas from reaching for files and addresses.
type noLoader struct{}

func (noLoader) Load(string) (any, error) {
	return nil, fmt.Errorf("references to other documents are not followed")
}
