package graph_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/graph/graphtest"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

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
		{"a:start\nb:end\na[nope]->b", "edges[0].sourceHandle", "node \"a\": has no handle \"nope\", but output, error"},
		{"a:start\nb:end\nc:end\na->b\nb->c", "edges[1].sourceHandle", "no handle"},
		{"a:start\nc:condition{\"branches\":[{\"id\":\"x\",\"condition\":\"true\"}]}\nb:end\na->c\nc->b", "edges[1].sourceHandle", "but default, x, error"},
		{"a:start\nb:end{\"outputParameters\":{\"a\":1}}", "nodes[1].data.outputParameters", "is not a list"},
		{"a:start{\"errorHandling\":\"shrug\"}", "nodes[0].data.errorHandling", "not one of fail_workflow"},
		{"a:start{\"joinMode\":\"most\"}", "nodes[0].data.joinMode", "not all or any"},
		{"a:start\nb:loop", "nodes[1].data.sourceVariable", "is missing"},
		{"a:start\nb:loop{\"sourceVariable\":\"x\",\"maxIterations\":0}", "nodes[1].data.maxIterations", "whole number from 1 to 100000"},
		{"a:start\nb:loop{\"sourceVariable\":\"x\"}\na->b", "nodes[1]", "no edge from its handle loop"},
		{"a:start\nb:loop{\"sourceVariable\":\"x\"}\nc:end\na->b\nb[loop]->c\nb[done]->c", "edges[2]", "is in the body of loop \"b\", and node \"b\" leads to it from outside"},
		{"a:start\nb:loop{\"sourceVariable\":\"x\"}\nc:transform{\"expression\":\"1\"}\na->b\na->c\nb[loop]->c", "edges[1]", "entered by its loop alone"},
		{"a:start\nb:loop{\"sourceVariable\":\"x\"}\nc:loop{\"sourceVariable\":\"x\"}\na->b\nb[loop]->c\nc[loop]->b", "nodes[2]", "the other way round"},
		{"a:start\nb:transform{\"expression\":\"1\",\"errorHandling\":\"skip_item\"}\na->b", "nodes[1].data.errorHandling", "body of a loop"},
		{"a:start\nb:approval{\"errorHandling\":\"continue\"}", "nodes[1].data.errorHandling", "handle output, which a node of the type approval does not have"},
		{"a:start\nb:transfrom", "nodes[1].type", "did you mean transform?"},
		{"a:start\nb:subWorkflow", "nodes[1].data.workflowID", "is missing"},
		{"a:start\nb:approval\nc:end\na->b\nb->c", "edges[1].sourceHandle", "but approve, reject, expired, error"},
	} {
		err := graphtest.Parse(t, tt.def).Check(types, "acme")
		var e *events.Error
		if !errors.As(err, &e) || e.Code != events.CodeValidation || e.Field != tt.field || !strings.Contains(e.Message, tt.message) {
			t.Errorf("%q:\n got %+v\nwant %s: %s", tt.def, err, tt.field, tt.message)
		}
	}
}

func TestInputs(t *testing.T) {
	d := graph.Definition{Options: graph.Options{InputDefinitions: []graph.Arg{
		{Key: "a", Required: true}, {Key: "b", DefaultValue: 2.0}, {Key: "c"}, {Key: "n", Type: "number"}, {Key: "f", Type: "boolean"}, {Key: "o", Type: "object"}, {Key: "d", Type: "date"},
	}}}
	got, err := d.Fill(map[string]any{"a": 1.0, "extra": true, "n": " 4.5", "f": "true", "o": map[string]any{}, "d": 7.0})
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
		if _, err := d.Fill(values); !errors.As(err, &e) || e.Field != "inputValues."+tt.key {
			t.Errorf("%s = %v: %v", tt.key, tt.value, err)
		}
	}
	var e *events.Error
	if _, err := d.Fill(nil); !errors.As(err, &e) || e.Field != "inputValues.a" {
		t.Errorf("%v", err)
	}
	for _, args := range [][]graph.Arg{{{}}, {{Key: "n", Type: "number", DefaultValue: "many"}}} {
		if err := (graph.Definition{Nodes: []graph.Node{{ID: "s", Type: "start"}}, Options: graph.Options{Args: args}}).Check(nodes.All(nodes.Options{}), "acme"); err == nil {
			t.Errorf("%+v was accepted", args)
		}
	}
}

// All that is wrong is told at once, each with its node and field.
func TestAllProblems(t *testing.T) {
	d := graphtest.Parse(t, "a:start\nb:teleport\nc:http\na->b\nb->nowhere")
	problems := graph.AllProblems(d.Check(nodes.All(nodes.Options{}), "acme"))
	var got []string
	for _, p := range problems {
		got = append(got, p.Node+" "+p.Field)
	}
	if want := "b nodes[1].type,c nodes[2].data.url, edges[1].target"; strings.Join(got, ",") != want {
		t.Errorf("got %q, want %q", strings.Join(got, ","), want)
	}
}

func TestLoopBodies(t *testing.T) {
	d := graphtest.Parse(t, `
		s:start
		outer:loop{"sourceVariable":"x"}
		a:transform{"expression":"1"}
		inner:loop{"sourceVariable":"x"}
		b:transform{"expression":"1"}
		e:end
		s->outer
		outer[loop]->a
		a->inner
		inner[loop]->b
		b->inner
		inner->outer
		outer[done]->e`)
	if err := d.Check(nodes.All(nodes.Options{}), "acme"); err != nil {
		t.Fatal(err)
	}
	p := graph.NewPlan(d)
	for id, loop := range map[string]int{"s": -1, "outer": -1, "a": 1, "inner": 1, "b": 3, "e": -1} {
		if i, _ := p.Find(id); p.Nodes[i].Loop != loop {
			t.Errorf("%s is in the body of %d, want %d", id, p.Nodes[i].Loop, loop)
		}
	}
	if len(p.Nodes[1].Body) != 3 || len(p.Nodes[3].Body) != 1 || !p.Edges[4].Back || !p.Edges[5].Back || p.Edges[6].Back {
		t.Errorf("%+v %+v", p.Nodes, p.Edges)
	}
}
