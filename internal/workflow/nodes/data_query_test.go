package nodes

import (
	"context"
	"strings"
	"testing"
)

// data is what a dataQuery node asks in tests.
type data struct{ asked DataQuery }

func (d *data) Check(q DataQuery) []Problem {
	d.asked = q
	return []Problem{{"args.name", "is checked"}}
}

func (d *data) Query(_ context.Context, q DataQuery) (any, error) {
	d.asked = q
	return []any{}, nil
}

func TestDataQuery(t *testing.T) {
	sources := &data{}
	typ := All(Options{Data: sources})["dataQuery"]
	for want, d := range map[string]Data{
		"args.name is checked":                                              {"dataQueryID": "q"},
		"args.name is checked ":                                             {"dataSource": "s", "query": "SELECT 1"},
		"args.name is checked  ":                                            {"dataQueryID": "q", "args": "{{ctx.args}}"},
		"inputValues.name is checked":                                       {"dataQueryID": "q", "inputValues": map[string]any{}},
		"dataQueryID is missing":                                            {},
		"dataQueryID does not go with dataSource and query":                 {"dataQueryID": "q", "query": "SELECT 1"},
		"dataSource is missing":                                             {"query": "SELECT 1"},
		"dataQueryID cannot be a template":                                  {"dataQueryID": "{{ctx.q}}"},
		"dataSource cannot be a template":                                   {"dataSource": "{{ctx.q}}", "query": "SELECT 1"},
		"query cannot hold a template: write @name where the value belongs": {"dataSource": "s", "query": "SELECT '{{ctx.name}}'"},
		"args is not an object":                                             {"dataQueryID": "q", "args": []any{}},
	} {
		checkProblem(t, typ.Check(d), want)
	}
	Check(typ, "acme", Data{"dataQueryID": "q"})
	if sources.asked.Tenant != "acme" {
		t.Errorf("asked %+v", sources.asked)
	}
	// What runs is what was written, whatever a template made of it.
	source := Data{"dataSource": "s", "query": "SELECT @a"}
	r, err := typ.Run(t.Context(), Call{
		Tenant: "acme", User: "ada", Key: "k", Source: source,
		Data: Data{"dataQueryID": "other", "dataSource": "other", "query": "DROP", "args": map[string]any{"a": 1}},
	})
	if err != nil || r.Handle != "success" || sources.asked.SQL != "SELECT @a" || sources.asked.Source != "s" || sources.asked.ID != "" ||
		sources.asked.Tenant != "acme" || sources.asked.User != "ada" || sources.asked.Key != "k" || sources.asked.Args["a"] != 1 {
		t.Errorf("%+v %v asked %+v", r, err, sources.asked)
	}
	if _, err := typ.Run(t.Context(), Call{Source: source, Data: Data{"args": "text"}}); err == nil {
		t.Error("args that became a text were taken")
	}
	if _, err := All(Options{})["dataQuery"].Run(t.Context(), Call{}); err == nil || !strings.Contains(err.Error(), "no data sources") {
		t.Error(err)
	}
}
