package agent

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
)

// QueryTool is the name of the tool that asks data sources; what is proposed has
// a [DataCall] as its arguments.
const QueryTool = "data_query"

// Data are the data sources that the assistant may ask. What is not open to a
// tenant does not exist for it.
type Data interface {
	// Sources returns what a user may ask in a tenant.
	Sources(id *auth.Identity, tenant string) []Source
	// Check reports what is wrong with a call, and otherwise what it is about, and
	// whether it changes something.
	Check(id *auth.Identity, tenant string, call DataCall) (title string, changes bool, err error)
	// Query runs a call that changes nothing. It returns a list of rows, or what
	// a service answered.
	Query(ctx context.Context, id *auth.Identity, tenant string, call DataCall) (any, error)
}

// A Source is where data is.
type Source struct {
	Name    string  `json:"dataSource"`
	Kind    string  `json:"kind"`
	SQL     bool    `json:"takesSQL"` // that only reads
	Queries []Query `json:"queries"`
}

// A Query is one that there is in a source.
type Query struct {
	ID      string  `json:"dataQueryID"`
	Title   string  `json:"title,omitempty"`
	Changes bool    `json:"changesSomething,omitempty"`
	Params  []Param `json:"params,omitempty"`
}

// A Param is a parameter of a query.
type Param struct {
	Name     string `json:"name"`
	Type     string `json:"type,omitempty"`
	Required bool   `json:"required"`
}

// A DataCall are the arguments of [QueryTool].
type DataCall struct {
	QueryID string `json:"dataQueryID,omitempty"`
	Source  string `json:"dataSource,omitempty"`
	SQL     string `json:"query,omitempty"`
	Args    Values `json:"args"`
}

// Values are arguments by name. Numbers keep all their digits, as [json.Number].
type Values map[string]any

// UnmarshalJSON implements [json.Unmarshaler].
func (v *Values) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode((*map[string]any)(v))
}

// mostRows is how many rows the model gets of a result.
const mostRows = 100

// DataTool lets the model ask data sources, and propose queries that change
// something.
func DataTool(d Data) Tool {
	return Tool{
		Name: QueryTool,
		Description: "Asks a database or service. Called without arguments it tells what there is. With dataQueryID it runs one of those queries; " +
			"with dataSource and query it runs SQL that only reads, where that is taken, with parameters written as @name and their values in args. " +
			"What would change something is proposed, and not done before somebody approves it.",
		Parameters: `{"type": "object", "properties": {"dataQueryID": {"type": "string"}, "dataSource": {"type": "string"}, "query": {"type": "string"}, "args": {"type": "object"}}}`,
		Offered:    func(t chat.Turn) bool { return len(d.Sources(t.Identity, t.Room.Tenant)) > 0 },
		Use:        taking(askData(d)),
	}
}

func askData(d Data) func(context.Context, chat.Turn, DataCall) (Result, error) {
	return func(ctx context.Context, t chat.Turn, call DataCall) (Result, error) {
		switch {
		case call.QueryID == "" && call.SQL == "":
			sources := d.Sources(t.Identity, t.Room.Tenant)
			return Result{Data: map[string]any{"dataSources": sources}, Summary: counted(len(sources), "data source")}, nil
		case call.QueryID != "" && (call.SQL != "" || call.Source != ""):
			return Result{}, events.FieldErrorf("dataQueryID", "does not go with dataSource and query: give the one or the others")
		}
		title, changes, err := d.Check(t.Identity, t.Room.Tenant, call)
		switch {
		case err != nil:
			return Result{}, err
		case changes:
			return proposeQuery(title, call)
		}
		answer, err := d.Query(ctx, t.Identity, t.Room.Tenant, call)
		if err != nil {
			return Result{}, err
		}
		return rowsOf(title, answer), nil
	}
}

func proposeQuery(title string, call DataCall) (Result, error) {
	if call.Args == nil {
		call.Args = Values{}
	}
	arguments, err := json.Marshal(call)
	return Result{Propose: &chat.Proposal{Tool: QueryTool, Title: title, Arguments: arguments}}, err
}

// rowsOf is what a query found.
func rowsOf(title string, answer any) Result {
	rows, ok := answer.([]any)
	if !ok {
		return Result{Data: map[string]any{"answer": answer}, Summary: title}
	}
	found := len(rows)
	data := map[string]any{"found": found, "rows": rows[:min(found, mostRows)]}
	if found > mostRows {
		data["hint"] = "more rows were found than are shown: ask for fewer, or for a sum"
	}
	return Result{Data: data, Summary: title + ": " + counted(found, "row")}
}
