package app_test

import (
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
)

// A workflow asks a database of the configuration and then the assistant.
func TestDataAndAssistant(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE orders (id INTEGER, customer TEXT); INSERT INTO orders VALUES (7, 'Ada'), (8, 'Grace')`); err != nil {
		t.Fatal(err)
	}
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) {
		c.DataSources = []config.DataSource{{Name: "shop", Driver: "sqlite", URL: config.Secret(path), AllowQueries: true, Queries: []config.DataQuery{{
			ID: "ordersOf", SQL: "SELECT id FROM orders WHERE customer = @customer", Params: []config.DataParam{{Name: "customer", Required: true}},
		}}}}
	}})
	token := s.Token("ada", "acme", auth.Admin)
	definition := func(data string) string {
		return `{"title": "t", "definition": {"nodes": [{"id": "s", "type": "start"}, {"id": "q", "type": "dataQuery", "data": ` + data + `},
			{"id": "a", "type": "ai", "data": {"prompt": "order {{ctx.queryResult[0].id}}"}},
			{"id": "e", "type": "end", "data": {"outputParameters": [{"name": "rows", "sourceVariable": "queryResult"}, {"name": "text", "sourceVariable": "aiResult.text"}]}}],
			"edges": [{"id": "1", "source": "s", "target": "q"}, {"id": "2", "source": "q", "target": "a", "sourceHandle": "success"}, {"id": "3", "source": "a", "target": "e"}]}}`
	}
	for data, want := range map[string]string{
		`{"dataQueryID": "orderOf"}`:                                            `did you mean \"ordersOf\"?`,
		`{"dataQueryID": "ordersOf"}`:                                           "nodes[1].data.args.customer",
		`{"dataQueryID": "ordersOf", "args": {"costumer": 1}}`:                  "did you mean customer?",
		`{"dataSource": "shop", "query": "DELETE FROM orders"}`:                 "begins with DELETE",
		`{"dataSource": "shop", "query": "SELECT '{{input.a}}'"}`:               "write @name where the value belongs",
		`{"dataSource": "shop", "query": "SELECT @a AS a", "args": {"b": "1"}}`: "nodes[1].data.args.b",
	} {
		var answer json.RawMessage
		if status := s.Do(token, "POST", "/api/v1/tenants/acme/workflows", definition(data), &answer); status != 400 || !strings.Contains(string(answer), want) {
			t.Errorf("%s: %d %s, want %s", data, status, answer, want)
		}
	}
	var saved struct{ WorkflowID string }
	s.Do(token, "POST", "/api/v1/tenants/acme/workflows", definition(`{"dataQueryID": "ordersOf", "args": {"customer": "{{input.customer}}"}}`), &saved)
	var run struct{ InstanceID string }
	s.Do(token, "POST", "/api/v1/tenants/acme/workflows/"+saved.WorkflowID+"/execute", `{"inputValues": {"customer": "Ada"}}`, &run)
	var state struct {
		Status      string
		ContextData json.RawMessage
	}
	eventually.True(t, func() bool {
		s.Do(token, "GET", "/api/v1/tenants/acme/workflows/instances/"+run.InstanceID, nil, &state)
		return state.Status != "RUNNING" && state.Status != "PENDING"
	})
	for _, want := range []string{`"queryResult":[{"id":7}]`, "No language model is configured on this server, so this prompt was not answered: order 7", `"model":"builtin"`} {
		if !strings.Contains(string(state.ContextData), want) {
			t.Errorf("%s %s, want %s", state.Status, state.ContextData, want)
		}
	}
}

func TestCheckDataSources(t *testing.T) {
	err := app.CheckDataSources([]config.DataSource{{Name: "a", Driver: "sqlite", URL: "x", Queries: []config.DataQuery{{ID: "q", SQL: "SELECT @x"}}}})
	if err == nil || err.Error() != "dataSources[0].queries[0].sql: @x is not in params, which has none" {
		t.Error(err)
	}
}
