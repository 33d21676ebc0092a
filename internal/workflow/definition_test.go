package workflow

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// parse reads a definition in short: nodes as "id:type{data}", one per line,
// and edges as "a->b" or "a[handle]->b".
func parse(t *testing.T, text string) Definition {
	t.Helper()
	var d Definition
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case strings.Contains(line, "->"):
			source, target, _ := strings.Cut(line, "->")
			source, handle, _ := strings.Cut(strings.TrimSuffix(source, "]"), "[")
			d.Edges = append(d.Edges, Edge{ID: line, Source: source, Target: target, SourceHandle: handle})
		default:
			id, rest, _ := strings.Cut(line, ":")
			typ, data, found := strings.Cut(rest, "{")
			n := Node{ID: id, Type: typ, Data: nodes.Data{}}
			if found {
				if err := json.Unmarshal([]byte("{"+data), &n.Data); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
			}
			d.Nodes = append(d.Nodes, n)
		}
	}
	return d
}

func TestBadDefinitions(t *testing.T) {
	types := nodes.All(nodes.Options{})
	for _, tt := range []struct{ def, field, message string }{
		{"", "nodes", "is empty"},
		{"a:end", "nodes", "0 start nodes"},
		{"a:start\nb:start", "nodes", "2 start nodes"},
		{"a:start\na:end", "nodes[1].id", "used twice"},
		{":start", "nodes[0].id", "is missing"},
		{"a:start\nb:teleport", "nodes[1].type", `unknown type "teleport"`},
		{"a:start\na->b", "edges[0].target", `no node "b"`},
		{"a:start\nb->a", "edges[0].source", `no node "b"`},
		{"a:start\nb:transform{\"expression\":\"1\"}\nc:transform{\"expression\":\"1\"}\na->b\nb->c\nc->b", "edges", `part of a cycle`},
		{"a:start\nb:transform", "nodes[1].data.expression", "is missing"},
		{"a:start\nb:transform{\"expression\":\"1 +\"}", "nodes[1].data.expression", "unexpected token"},
		{"a:start\nb:http{\"url\":\"ftp://x\"}", "nodes[1].data.url", "does not begin with"},
		{"a:start\nb:http{\"url\":\"http://x/{{ctx.a +}}\"}", "nodes[1].data.url", "unexpected token"},
		{"a:start\nb:http{\"url\":\"http://x\",\"method\":\"TELEPORT\"}", "nodes[1].data.method", "is not one of GET"},
		{"a:start\nb:http{\"url\":\"http://x\",\"timeoutSeconds\":0}", "nodes[1].data.timeoutSeconds", "between 1 and 120"},
		{"a:start\nb:http{\"url\":\"http://x\",\"body\":{\"deep\":[\"{{\"]}}", "nodes[1].data.body.deep[0]", "not closed"},
		{"a:start\nb:delay{\"delayType\":\"never\"}", "nodes[1].data.delayType", "not one of"},
		{"a:start\nb:delay{\"delayMs\":-1}", "nodes[1].data.delayMs", "zero or more"},
		{"a:start\nb:delay{\"delayType\":\"until\",\"untilTime\":\"noon\"}", "nodes[1].data.untilTime", "ISO 8601"},
		{"a:start\nb:delay{\"delayMs\":\"NaN\"}", "nodes[1].data.delayMs", "zero or more"},
		{"a:start\nb:delay{\"delaySeconds\":\"Inf\"}", "nodes[1].data.delaySeconds", "zero or more"},
		{"a:start\nb:delay{\"delayMinutes\":1e300}", "nodes[1].data.delayMinutes", "a year"},
		{"a:start\nb:dataCollection{\"expiryMinutes\":\"NaN\"}", "nodes[1].data.expiryMinutes", "whole number"},
		{"a:start\nb:dataCollection{\"expiryMinutes\":1e18}", "nodes[1].data.expiryMinutes", "to 527040"},
		{"a:start\nb:dataCollection{\"expiryMinutes\":0.5}", "nodes[1].data.expiryMinutes", "whole number"},
		{"a:start\nb:http{\"url\":\"http://x\",\"timeoutSeconds\":\"NaN\"}", "nodes[1].data.timeoutSeconds", "between 1 and 120"},
		{"a:start\nb:condition", "nodes[1].data.branches", "is missing"},
		{"a:start\nb:condition{\"branches\":[{}]}", "nodes[1].data.branches[0].id", "is missing"},
		{"a:start\nb:condition{\"branches\":[{\"id\":\"x\",\"conditions\":[{\"operator\":\"is\"}]}]}", "nodes[1].data.branches[0].conditions[0].operator", `"is" is not one of expression, contains`},
		{"a:start\nb:condition{\"branches\":[{\"id\":\"x\",\"conditions\":[{\"operator\":\"matches_regex\",\"rightValue\":\"(\"}]}]}", "nodes[1].data.branches[0].conditions[0].rightValue", "missing closing"},
		{"a:start\nb:dataCollection{\"collectionType\":\"mind\"}", "nodes[1].data.collectionType", "not one of"},
		{"a:start\nb:dataCollection{\"formSchema\":{\"type\":7}}", "nodes[1].data.formSchema", "is not a JSON Schema: type: "},
		{"a:start\nb:dataCollection{\"formSchema\":{\"$ref\":\"file:///etc/passwd\"}}", "nodes[1].data.formSchema", "not followed"},
		{"a:start\nb:end{\"status\":\"maybe\"}", "nodes[1].data.status", "not one of"},
		{"a:start\nb:end{\"outputParameters\":[{\"name\":\"x\"}]}", "nodes[1].data.outputParameters[0]", "sourceVariable"},
		{"a:start\nb:end\na[nope]->b", "edges[0].sourceHandle", "node \"a\" has no handle \"nope\", but output, error"},
		{"a:start\nb:end\nc:end\na->b\nb->c", "edges[1].sourceHandle", "no handle"},
		{"a:start\nc:condition{\"branches\":[{\"id\":\"x\",\"condition\":\"true\"}]}\nb:end\na->c\nc->b", "edges[1].sourceHandle", "but default, x, error"},
		{"a:start\nb:end{\"outputParameters\":{\"a\":1}}", "nodes[1].data.outputParameters", "is not a list"},
		{"a:start{\"errorHandling\":\"shrug\"}", "nodes[0].data.errorHandling", "not one of fail_workflow"},
		{"a:start{\"joinMode\":\"most\"}", "nodes[0].data.joinMode", "not all or any"},
	} {
		err := parse(t, tt.def).check(types)
		var e *events.Error
		if !errors.As(err, &e) || e.Code != events.CodeValidation || e.Field != tt.field || !strings.Contains(e.Message, tt.message) {
			t.Errorf("%q:\n got %+v\nwant %s: %s", tt.def, err, tt.field, tt.message)
		}
	}
}

func TestInputs(t *testing.T) {
	d := Definition{Options: Options{InputDefinitions: []Arg{
		{Key: "a", Required: true}, {Key: "b", DefaultValue: 2.0}, {Key: "c"}, {Key: "n", Type: "number"}, {Key: "f", Type: "boolean"}, {Key: "o", Type: "object"}, {Key: "d", Type: "date"},
	}}}
	got, err := d.fill(map[string]any{"a": 1.0, "extra": true, "n": " 4.5", "f": "true", "o": map[string]any{}, "d": 7.0})
	if err != nil || got["a"] != 1.0 || got["b"] != 2.0 || got["extra"] != true || got["n"] != 4.5 || got["f"] != true || got["d"] != 7.0 || len(got) != 7 {
		t.Errorf("%v %v", got, err)
	}
	for _, tt := range []struct {
		key   string
		value any
	}{{"n", "many"}, {"n", "NaN"}, {"n", "-Inf"}, {"n", true}, {"f", "perhaps"}, {"o", []any{}}, {"o", "x"}, {"a", nil}} {
		values := map[string]any{"a": 1.0}
		values[tt.key] = tt.value
		var e *events.Error
		if _, err := d.fill(values); !errors.As(err, &e) || e.Field != "inputValues."+tt.key {
			t.Errorf("%s = %v: %v", tt.key, tt.value, err)
		}
	}
	var e *events.Error
	if _, err := d.fill(nil); !errors.As(err, &e) || e.Field != "inputValues.a" {
		t.Errorf("%v", err)
	}
	for _, args := range [][]Arg{{{}}, {{Key: "n", Type: "number", DefaultValue: "many"}}} {
		if err := (Definition{Options: Options{Args: args}}).checkInputs(); err == nil {
			t.Errorf("%+v was accepted", args)
		}
	}
}
