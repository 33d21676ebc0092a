package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/asyncapi"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/namespaces"
	"github.com/roomcast/roomcast/namespaces/monitor"
	"github.com/roomcast/roomcast/namespaces/renewal"
	"github.com/roomcast/roomcast/namespaces/root"
)

// TestConformance holds the AsyncAPI document and the program together: every
// message has a route or a payload type and the reverse, their fields, kinds
// and requirements are the same, and every example survives a strict decoding
// and encoding.
func TestConformance(t *testing.T) {
	doc, err := asyncapi.SocketEvents()
	if err != nil {
		t.Fatal(err)
	}
	c := conformance{t, doc}
	seen := map[string]bool{}
	for _, m := range doc.Messages() {
		key := c.key(m)
		if m.AckFor != "" {
			continue // compared with its route below
		}
		seen[key] = true
	}
	want := map[string]bool{}
	for _, ns := range []namespaces.Namespace{root.New(root.Services{}), monitor.New(nil, nil)} {
		for _, r := range renewal.Extend(ns, nil).Routes {
			key := "in " + ns.Name + " " + r.Event
			want[key] = true
			in, out := r.Types()
			m := c.find(ns.Name, r.Event, true)
			c.compare(key, doc.Schema(m), in)
			c.examples(key, m.Examples, in)
			c.ack(ns.Name, m, out)
		}
	}
	for ns, payloads := range events.Catalogue() {
		for _, p := range payloads {
			key := "out " + ns + " " + p.EventName()
			want[key] = true
			m := c.find(ns, p.EventName(), false)
			c.compare(key, c.unnumbered(key, doc.Schema(m)), reflect.TypeOf(p))
			c.examples(key, m.Examples, reflect.TypeOf(p))
		}
	}
	for key := range want {
		if !seen[key] {
			t.Errorf("%s is in the program, but not in the document", key)
		}
	}
	for key := range seen {
		if !want[key] {
			t.Errorf("%s is in the document, but not in the program: it needs a route in namespaces, or a payload in events", key)
		}
	}
}

type conformance struct {
	t   *testing.T
	doc *asyncapi.Document
}

// unnumbered returns the schema of a message without its offset, which is in
// the payload but not in its type: see [events.WithOffset].
func (c conformance) unnumbered(at string, schema map[string]any) map[string]any {
	properties, _ := schema["properties"].(map[string]any)
	if properties["offset"] == nil {
		return schema
	}
	if slices.Contains(anySlice(schema["required"]), any("offset")) {
		c.t.Errorf("%s: what is not published to a room has no offset", at)
	}
	schema, properties = maps.Clone(schema), maps.Clone(properties)
	delete(properties, "offset")
	schema["properties"] = properties
	return schema
}

func (c conformance) key(m asyncapi.Message) string {
	direction := "out"
	if m.Inbound {
		direction = "in"
	}
	return direction + " " + m.Namespace + " " + m.Name
}

func (c conformance) find(namespace, name string, inbound bool) asyncapi.Message {
	for _, m := range c.doc.Messages() {
		if m.Namespace == namespace && m.Name == name && m.Inbound == inbound {
			return m
		}
	}
	return asyncapi.Message{}
}

// ack compares the acknowledgement of an event: under x-ack, as a message of
// its own, and as the type that the handler returns.
func (c conformance) ack(namespace string, m asyncapi.Message, out reflect.Type) {
	schema := c.doc.AckSchema(m)
	message := c.find(namespace, m.Name+"_ack", false)
	if schema == nil || message.AckFor != m.Name {
		c.t.Errorf("%s: its acknowledgement is not described under x-ack and as a message", m.Name)
		return
	}
	if !reflect.DeepEqual(schema, c.doc.Schema(message)) {
		c.t.Errorf("%s: x-ack and %s differ", m.Name, message.Name)
	}
	variants, _ := schema["oneOf"].([]any)
	if len(variants) != 2 {
		c.t.Errorf("%s: its acknowledgement is not a success or a failure", m.Name)
		return
	}
	success, _ := variants[0].(map[string]any)
	withOK := reflect.StructOf([]reflect.StructField{{Name: "OK", Type: reflect.TypeFor[bool](), Tag: `json:"ok"`}})
	c.compareFields(m.Name+" ack", success, append(fieldsOf(withOK), fieldsOf(out)...))
}

// field is a field of a Go struct as JSON has it.
type field struct {
	name     string
	typ      reflect.Type
	required bool
}

// fieldsOf lists the fields of a struct, with those of embedded structs.
func fieldsOf(t reflect.Type) (fields []field) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Tag.Get("json") == "" {
			fields = append(fields, fieldsOf(f.Type)...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields = append(fields, field{name, f.Type, !strings.Contains(options, "omitempty")})
	}
	return fields
}

var (
	rawType  = reflect.TypeFor[json.RawMessage]()
	timeType = reflect.TypeFor[events.Time]()
	codecs   = reflect.TypeFor[json.Unmarshaler]()
)

// compare checks a schema against a Go type.
func (c conformance) compare(at string, schema map[string]any, t reflect.Type) {
	c.t.Helper()
	schema = c.doc.Resolve(schema)
	switch {
	case schema == nil:
		c.t.Errorf("%s is not in the document", at)
		return
	case t == rawType, t.Kind() == reflect.Interface:
		return // any value
	case t == timeType:
		if schema["format"] != "date-time" {
			c.t.Errorf("%s: the program has a time, the document has %v", at, schema)
		}
		return
	case reflect.PointerTo(t).Implements(codecs):
		return // it reads several shapes; examples show that it does
	case t.Kind() == reflect.Pointer:
		c.compareNullable(at, schema, t.Elem())
		return
	}
	if got, want := kindOf(schema), kindOfGo(t); got != want {
		c.t.Errorf("%s: the document has %s, the program %s", at, got, want)
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		c.compareFields(at, schema, fieldsOf(t))
	case reflect.Slice:
		items, _ := schema["items"].(map[string]any)
		c.compare(at+"[]", items, t.Elem())
	}
}

// compareNullable expects a schema that allows null besides the type.
func (c conformance) compareNullable(at string, schema map[string]any, t reflect.Type) {
	if types, ok := schema["type"].([]any); ok && slices.Contains(types, any("null")) {
		return
	}
	for _, v := range anySlice(schema["oneOf"]) {
		if variant, _ := v.(map[string]any); variant["type"] != "null" {
			c.compare(at, variant, t)
			return
		}
	}
	c.t.Errorf("%s: the program may send null, the document does not say so", at)
}

func anySlice(v any) []any {
	s, _ := v.([]any)
	return s
}

// kindOf is the JSON type that a schema asks for.
func kindOf(schema map[string]any) string {
	if s, ok := schema["type"].(string); ok {
		return s
	}
	switch v := schema["const"].(type) {
	case bool:
		return "boolean"
	case string:
		return "string"
	default:
		return fmt.Sprintf("no type (%v)", v)
	}
}

func kindOfGo(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "integer"
	case reflect.Float64:
		return "number"
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Slice:
		return "array"
	}
	return t.String()
}

func (c conformance) compareFields(at string, schema map[string]any, fields []field) {
	c.t.Helper()
	if schema["additionalProperties"] != false {
		c.t.Errorf("%s: the document allows unknown fields", at)
	}
	properties, _ := schema["properties"].(map[string]any)
	var required []string
	for _, r := range anySlice(schema["required"]) {
		required = append(required, r.(string))
	}
	known := map[string]bool{}
	for _, f := range fields {
		known[f.name] = true
		property, ok := properties[f.name].(map[string]any)
		if !ok {
			c.t.Errorf("%s.%s is not in the document", at, f.name)
			continue
		}
		if f.required != slices.Contains(required, f.name) {
			c.t.Errorf("%s.%s: the program requires it: %v, the document: %v", at, f.name, f.required, !f.required)
		}
		if !f.required && f.typ.Kind() == reflect.Pointer && c.doc.Resolve(property)["type"] == "object" {
			f.typ = f.typ.Elem() // nil is left out
		}
		c.compare(at+"."+f.name, property, f.typ)
	}
	for name := range properties {
		if !known[name] {
			c.t.Errorf("%s.%s is not in the program", at, name)
		}
	}
}

// examples decodes each example strictly and encodes it again.
func (c conformance) examples(at string, examples []json.RawMessage, t reflect.Type) {
	for i, example := range examples {
		v := reflect.New(t)
		d := json.NewDecoder(bytes.NewReader(example))
		d.DisallowUnknownFields()
		if err := d.Decode(v.Interface()); err != nil {
			c.t.Errorf("%s: example %d: %v", at, i, err)
			continue
		}
		if hasCodec(t) {
			continue // what reads several shapes writes one
		}
		again, err := json.Marshal(v.Interface())
		if err != nil {
			c.t.Errorf("%s: example %d: %v", at, i, err)
			continue
		}
		var want, got any
		json.Unmarshal(example, &want)
		json.Unmarshal(again, &got)
		if !reflect.DeepEqual(got, want) {
			c.t.Errorf("%s: example %d became\n%s\nfrom\n%s", at, i, again, example)
		}
	}
}

func hasCodec(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || t == timeType {
		return false
	}
	if reflect.PointerTo(t).Implements(codecs) {
		return true
	}
	for _, f := range fieldsOf(t) {
		if f.typ != rawType && f.typ != timeType && reflect.PointerTo(f.typ).Implements(codecs) {
			return true
		}
	}
	return false
}
