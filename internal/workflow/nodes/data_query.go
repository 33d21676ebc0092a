package nodes

import (
	"context"
	"errors"
	"strings"
)

// dataQuery asks a data source of the configuration. Its settings:
//
//	dataQueryID         the id of a query of the configuration; or, where the source allows it,
//	dataSource, query   a source and the SQL to run there, with parameters as @name
//	args, inputValues   the values of the parameters; they are bound, never written into a query
//	outputVariable      where the rows go (queryResult)
type dataQuery struct{ sources DataSources }

// DataSources answer queries. They may be called concurrently.
type DataSources interface {
	// Check reports what is wrong with a query, as far as that can be known
	// before it runs: values that hold templates are taken for good. Fields are
	// those of the node.
	Check(q DataQuery) []Problem
	// Query runs a query. An error is for the author of the workflow.
	Query(ctx context.Context, q DataQuery) (any, error)
}

// A DataQuery is what a node asks.
type DataQuery struct {
	// Tenant is whose run it is, or workflow; empty is not known yet.
	Tenant string
	User   string
	// Key is that of the call.
	Key string
	// ID names a query of the configuration. If it is empty, SQL is for Source.
	ID, Source, SQL string
	Args            map[string]any
	// AnyArgs means that what the arguments will be is not known yet.
	AnyArgs bool
}

func (dataQuery) Pure() bool { return false }

// Handles implements [Type]: an edge from success is one from output.
func (dataQuery) Handles(Data) []string { return []string{"success", "output"} }

func (n dataQuery) Check(d Data) []Problem { return n.CheckFor("", d) }

// CheckFor implements [TenantType].
func (n dataQuery) CheckFor(tenant string, d Data) []Problem {
	switch id, source, sql := d.String("dataQueryID"), d.String("dataSource"), d.String("query"); {
	case id == "" && sql == "":
		return problem("dataQueryID", "is missing")
	case id != "" && (source != "" || sql != ""):
		return problem("dataQueryID", "does not go with dataSource and query: give the one or the others")
	case id == "" && source == "":
		return problem("dataSource", "is missing: it is where the query runs")
	case strings.Contains(id, "{{"):
		return problem("dataQueryID", "cannot be a template: which query runs is chosen when the workflow is written")
	case strings.Contains(source, "{{"):
		return problem("dataSource", "cannot be a template: where a query runs is chosen when the workflow is written")
	case strings.Contains(sql, "{{"):
		return problem("query", "cannot hold a template: write @name where the value belongs, and the value as args.name")
	}
	field, args, known := queryArgs(d)
	if !known && !d.hasTemplate(field) {
		return problem(field, "is not an object of values by name")
	}
	if n.sources == nil {
		return nil // nobody knows what there is; a run will say that there is nothing
	}
	problems := n.sources.Check(DataQuery{
		Tenant: tenant, ID: d.String("dataQueryID"), Source: d.String("dataSource"), SQL: d.String("query"), Args: args, AnyArgs: !known,
	})
	for i := range problems {
		if rest, ok := strings.CutPrefix(problems[i].Field, "args"); ok {
			problems[i].Field = field + rest
		}
	}
	return problems
}

// queryArgs returns the values of the parameters, and under which of two names
// they stand.
func queryArgs(d Data) (field string, args map[string]any, ok bool) {
	field = "args"
	if d["args"] == nil && d["inputValues"] != nil {
		field = "inputValues"
	}
	if d[field] == nil {
		return field, nil, true
	}
	args, ok = d[field].(map[string]any)
	return field, args, ok
}

func (n dataQuery) Run(ctx context.Context, call Call) (Result, error) {
	if n.sources == nil {
		return Result{}, errors.New("this server has no data sources: they stand in its configuration, under dataSources")
	}
	field, args, ok := queryArgs(call.Data)
	if !ok {
		return Result{}, errors.New(field + " is not an object of values by name")
	}
	// From Source: what is chosen or run never comes from a template.
	rows, err := n.sources.Query(ctx, DataQuery{
		Tenant: call.Tenant, User: call.User, Key: call.Key, Args: args,
		ID: call.Source.String("dataQueryID"), Source: call.Source.String("dataSource"), SQL: call.Source.String("query"),
	})
	if err != nil {
		return Result{}, err
	}
	return Result{Output: rows, Handle: "success"}, nil
}
