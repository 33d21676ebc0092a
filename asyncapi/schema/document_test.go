package schema_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/roomcast/roomcast/asyncapi"
	"github.com/roomcast/roomcast/asyncapi/schema"
)

// A pair is one schema of the document, compiled by the library and by us.
type pair struct {
	name string
	full *jsonschema.Schema
	fast *schema.Schema
}

// document returns every schema of the document, and the examples.
func document(t testing.TB) (pairs []pair, examples []json.RawMessage) {
	t.Helper()
	d, err := asyncapi.SocketEvents()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := d.JSON()
	if err != nil {
		t.Fatal(err)
	}
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.AssertFormat()
	if err := c.AddResource("test:document", root); err != nil {
		t.Fatal(err)
	}
	schemas := root.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		p := pair{name: name}
		if p.full, err = c.Compile("test:document#/components/schemas/" + name); err != nil {
			t.Fatal(err)
		}
		if p.fast, err = schema.Compile(p.full); err != nil {
			t.Errorf("%s is left to the library: %v", name, err)
			continue
		}
		pairs = append(pairs, p)
	}
	for _, m := range d.Messages() {
		examples = append(examples, m.Examples...)
	}
	slices.SortFunc(examples, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
	return pairs, examples
}

// compare holds the two verdicts on a value together, for every schema. It
// returns how many schemas call it valid, and how many only the library.
func compare(t testing.TB, pairs []pair, raw []byte) (valid, asked int) {
	t.Helper()
	var value any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	isJSON := json.Valid(raw) && d.Decode(&value) == nil
	for _, p := range pairs {
		want := isJSON && p.full.Validate(value) == nil
		got := p.fast.Valid(raw)
		if got && !want {
			t.Errorf("%s: %q is valid, the library says no", p.name, raw)
		}
		if exact, certain := schema.Verdict(p.fast, raw); certain && exact != want {
			t.Errorf("%s: %q: got %v, the library says %v", p.name, raw, exact, want)
		}
		if want {
			valid++
		}
		if want && !got {
			asked++
		}
	}
	return valid, asked
}

func TestExamples(t *testing.T) {
	pairs, examples := document(t)
	for _, raw := range examples {
		if valid, asked := compare(t, pairs, raw); valid < 2 || asked > 0 {
			t.Errorf("%s: valid by %d schemas, of which %d ask the library", raw, valid, asked)
		}
	}
}

func TestMutations(t *testing.T) {
	pairs, examples := document(t)
	seen := map[string]bool{}
	for _, example := range examples {
		its := slices.DeleteFunc(slices.Clone(pairs), func(p pair) bool { return p.name == "AnyValue" || !p.fast.Valid(example) })
		var value any
		if err := json.Unmarshal(example, &value); err != nil {
			t.Fatal(err)
		}
		for raw := range mutations(value) {
			if !seen[raw] {
				seen[raw] = true
				compare(t, its, []byte(raw))
			}
		}
	}
	if len(seen) < 10_000 {
		t.Errorf("only %d values were tried", len(seen))
	}
}

func FuzzValidate(f *testing.F) {
	pairs, examples := document(f)
	for _, raw := range examples {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { compare(t, pairs, raw) })
}

// Messages of about 200 bytes, and a usual acknowledgement.
const userMessage = `{"message":{"text":"The quick brown fox jumps over the lazy dog, twice.","action":"test"},` +
	`"chatRoomID":"7c9e6679-7425-40de-944b-e07fc1f90ae7","firebaseID":"user-firebase-uid-0123456789","tenantID":"default"}`

const connectWidget = `{"widgetID":"0f8fad5b-d9cb-469f-a165-70867728950e","workflowID":"3b241101-e2bb-4255-8caf-4136c566a962",` +
	`"mode":"execute","inputParams":{"n":2,"text":"lazy dog","tags":["alpha","beta"]},"widgetType":"bar"}`

const joinedAck = `{"ok":true,"runId":"7c9e6679-7425-40de-944b-e07fc1f90ae7","status":"RUNNING"}`

func BenchmarkValidate(b *testing.B) {
	pairs, _ := document(b)
	for _, tt := range []struct{ name, raw string }{
		{"ChatUserMessage", userMessage},
		{"WidgetWorkflowConnect", connectWidget},
		{"WorkflowRunJoinAck", joinedAck},
	} {
		p := pairs[slices.IndexFunc(pairs, func(p pair) bool { return p.name == tt.name })]
		raw := []byte(tt.raw)
		b.Run(fmt.Sprintf("%s/%dB/scan", tt.name, len(raw)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !p.fast.Valid(raw) {
					b.Fatal("not valid")
				}
			}
		})
		b.Run(fmt.Sprintf("%s/%dB/library", tt.name, len(raw)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d := json.NewDecoder(bytes.NewReader(raw))
				d.UseNumber()
				var v any
				if d.Decode(&v) != nil || p.full.Validate(v) != nil {
					b.Fatal("not valid")
				}
			}
		})
	}
}

func TestValidDoesNotAllocate(t *testing.T) {
	pairs, _ := document(t)
	for _, p := range pairs {
		for _, raw := range []string{userMessage, connectWidget, joinedAck, strings.Repeat("[", 100)} {
			b := []byte(raw)
			if n := testing.AllocsPerRun(10, func() { p.fast.Valid(b) }); n > 0 {
				t.Errorf("%s: %s: %v allocations", p.name, raw, n)
			}
		}
	}
}
