package datasource_test

import (
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/datasource"
)

func TestConfiguration(t *testing.T) {
	sqlite := func(q ...datasource.Query) datasource.Source {
		return datasource.Source{Name: "s", Driver: "sqlite", URL: "/x.db", Queries: q}
	}
	rest := func(q ...datasource.Query) datasource.Source {
		return datasource.Source{Name: "r", Driver: "rest", URL: "https://api.example.com/v1", Queries: q}
	}
	param := func(name string) []datasource.Param { return []datasource.Param{{Name: name}} }
	for want, sources := range map[string][]datasource.Source{
		"": {
			sqlite(datasource.Query{ID: "a", SQL: "SELECT @runTenant"}),
			rest(datasource.Query{ID: "b", Method: "post", Write: true, Path: "/x/@id", Body: `{"a": ["@id"]}`, Params: param("id")}),
		},
		"dataSources[0].name: is missing":                                                  {{Driver: "sqlite", URL: "x"}},
		`dataSources[0].driver: "oracle" is not one of postgres, sqlite, rest`:             {{Name: "a", Driver: "oracle", URL: "x"}},
		"dataSources[0].url: is missing":                                                   {{Name: "a", Driver: "sqlite"}},
		"dataSources[0].url: is not postgres://user":                                       {{Name: "a", Driver: "postgres", URL: "postgres://u:hidden@h:port/d"}},
		"dataSources[0].url: is not https://host/path":                                     {{Name: "a", Driver: "rest", URL: "ftp://u:hidden@h"}},
		"dataSources[0].url: has a query":                                                  {{Name: "a", Driver: "rest", URL: "https://h/?hidden"}},
		"dataSources[0].maxRows: is negative":                                              {{Name: "a", Driver: "sqlite", URL: "x", MaxRows: -1}},
		"dataSources[0].allowQueries: is for databases":                                    {{Name: "a", Driver: "rest", URL: "https://h", AllowQueries: true}},
		"dataSources[0].headers and allowPrivate: are for the driver rest":                 {{Name: "a", Driver: "sqlite", URL: "x", AllowPrivate: true}},
		`dataSources[0].headers[0].name: "Host" is set by the server itself`:               {{Name: "a", Driver: "rest", URL: "https://h", Headers: []datasource.Header{{Name: "Host"}}}},
		`dataSources[1].name: "s" is used twice`:                                           {sqlite(), sqlite()},
		`dataSources[1].queries[0].id: "a" is used twice`:                                  {sqlite(datasource.Query{ID: "a", SQL: "SELECT 1"}), rest(datasource.Query{ID: "a", Path: "/"})},
		"queries[0].id: is missing":                                                        {sqlite(datasource.Query{SQL: "SELECT 1"})},
		"queries[0].sql: is missing":                                                       {sqlite(datasource.Query{ID: "a"})},
		"queries[0].sql: cannot hold a template: write @name":                              {sqlite(datasource.Query{ID: "a", SQL: "SELECT {{ctx.a}}"})},
		"queries[0].sql: begins with DELETE, and a query may only read unless":             {sqlite(datasource.Query{ID: "a", SQL: "DELETE FROM x"})},
		"queries[0].sql: begins with PRAGMA and not with one of":                           {sqlite(datasource.Query{ID: "a", SQL: "PRAGMA x", Write: true})},
		"queries[0].sql: holds several statements":                                         {sqlite(datasource.Query{ID: "a", SQL: "SELECT 1; SELECT 2"})},
		"queries[0].sql: @nme is not in params, did you mean name?":                        {sqlite(datasource.Query{ID: "a", SQL: "SELECT @nme", Params: param("name")})},
		"queries[0].params[0].name: @name does not stand in the query":                     {sqlite(datasource.Query{ID: "a", SQL: "SELECT '@name'", Params: param("name")})},
		`queries[0].params[0].name: "a b" is not a letter with`:                            {sqlite(datasource.Query{ID: "a", SQL: "SELECT 1", Params: param("a b")})},
		`queries[0].params[0].name: "runKey" is filled in by the server`:                   {sqlite(datasource.Query{ID: "a", SQL: "SELECT 1", Params: param("runKey")})},
		`queries[0].params[1].name: "a" is used twice`:                                     {sqlite(datasource.Query{ID: "a", SQL: "SELECT @a", Params: append(param("a"), param("a")...)})},
		`queries[0].params[0].type: "text" is not one of string, number`:                   {sqlite(datasource.Query{ID: "a", SQL: "SELECT @a", Params: []datasource.Param{{Name: "a", Type: "text"}}})},
		"queries[0].params[0].default: is not of the type number":                          {sqlite(datasource.Query{ID: "a", SQL: "SELECT @a", Params: []datasource.Param{{Name: "a", Type: "number", Default: "x"}}})},
		"queries[0].method, path, query and body: are for the driver rest":                 {sqlite(datasource.Query{ID: "a", SQL: "SELECT 1", Path: "/"})},
		"queries[0].sql: is for databases":                                                 {rest(datasource.Query{ID: "a", SQL: "SELECT 1"})},
		`queries[0].method: "FETCH" is not one of`:                                         {rest(datasource.Query{ID: "a", Method: "FETCH"})},
		"queries[0].method: POST may change something: set write: true":                    {rest(datasource.Query{ID: "a", Method: "POST"})},
		"queries[0].path and body: cannot hold a template":                                 {rest(datasource.Query{ID: "a", Path: "/{{a}}"})},
		"queries[0].query: cannot hold a template":                                         {rest(datasource.Query{ID: "a", Fields: []datasource.Field{{Name: "a", Value: "{{a}}"}}})},
		"queries[0].path: has a query":                                                     {rest(datasource.Query{ID: "a", Path: "/x?a=b"})},
		`queries[0].path: a parameter is a whole segment, such as /orders/@id, and "x@id"`: {rest(datasource.Query{ID: "a", Path: "/x@id", Params: param("id")})},
		"queries[0].body: is not JSON":                                                     {rest(datasource.Query{ID: "a", Method: "POST", Write: true, Body: "{"})},
		"queries[0].path, query and body: @id is not in params":                            {rest(datasource.Query{ID: "a", Path: "/@id"})},
	} {
		err := datasource.Check(sources)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) || strings.Contains(got, "hidden") {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What another tenant has does not exist: not in errors, and not in what was
// probably meant.
func TestRequests(t *testing.T) {
	ofAcme := datasource.Query{ID: "acmeOrders", SQL: "SELECT @customer, @limit", Params: []datasource.Param{{Name: "customer", Required: true}, {Name: "limit", Type: "integer", Default: 5}}}
	s, err := datasource.New(datasource.Options{Sources: []datasource.Source{
		{Name: "acme", Driver: "sqlite", URL: "/x.db", Tenants: []string{"acme"}, AllowQueries: true, Queries: []datasource.Query{ofAcme}},
		{Name: "open", Driver: "sqlite", URL: "/x.db", AllowQueries: true, Queries: []datasource.Query{{ID: "prices", SQL: "SELECT 1"}}},
		{Name: "closed", Driver: "sqlite", URL: "/x.db"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	customer := func(v any) map[string]any { return map[string]any{"customer": v} }
	for _, tt := range []struct {
		request     datasource.Request
		field, want string
	}{
		{datasource.Request{Tenant: "acme", ID: "acmeOrders", Args: customer("{{ctx.a}}")}, "", ""},
		{datasource.Request{Tenant: "acme", ID: "acmeOrders", AnyArgs: true}, "", ""},
		{datasource.Request{Tenant: "acme", ID: "acmeOrders"}, "args.customer", `is missing: query "acmeOrders" of data source "acme" needs it`},
		{datasource.Request{Tenant: "acme", ID: "acmeOrders", Args: customer(nil)}, "args.customer", "is null"},
		{datasource.Request{Tenant: "acme", ID: "acmeOrders", Args: map[string]any{"custmer": 1}}, "args.custmer", "did you mean customer?"},
		{datasource.Request{Tenant: "acme", ID: "acmeOrders", Args: map[string]any{"customer": 1, "limit": "many"}}, "args.limit", "is not of the type integer"},
		{datasource.Request{Tenant: "acme", ID: "acmeOrders", Args: map[string]any{"customer": 1, "limit": 1.5}}, "args.limit", "is not of the type integer"},
		{datasource.Request{Tenant: "acme", ID: "acmeOrder"}, "dataQueryID", `there is no data query "acmeOrder", did you mean "acmeOrders"?`},
		{datasource.Request{Tenant: "other", ID: "acmeOrders", Args: customer(1)}, "dataQueryID", `there is no data query "acmeOrders"`},
		{datasource.Request{Tenant: "other", ID: "acmeOrder"}, "dataQueryID", `there is no data query "acmeOrder"`},
		{datasource.Request{Tenant: "other", ID: "price"}, "dataQueryID", `there is no data query "price", did you mean "prices"?`},
		{datasource.Request{ID: "acmeOrders"}, "", ""}, // nobody in particular is told nothing
		{datasource.Request{ID: "acmeOrder"}, "dataQueryID", `there is no data query "acmeOrder"`},
		{datasource.Request{ID: "prices", Args: customer(1)}, "args.customer", `is not a parameter of query "prices" of data source "open", which has none`},
		{datasource.Request{Source: "open", SQL: "SELECT @a", Args: map[string]any{"a": nil}}, "", ""},
		{datasource.Request{Source: "open", SQL: "SELECT @a"}, "args.a", `is missing: the query of data source "open" needs it`},
		{datasource.Request{Source: "open", SQL: "SELECT @_a"}, "query", "@_a does not begin with a letter"},
		{datasource.Request{Source: "open", SQL: "DROP TABLE x"}, "query", "begins with DROP"},
		{datasource.Request{Source: "opn", SQL: "SELECT 1"}, "dataSource", `there is no data source "opn" that takes queries of workflows, did you mean "open"?`},
		{datasource.Request{Source: "closed", SQL: "SELECT 1"}, "dataSource", `there is no data source "closed"`},
		{datasource.Request{Tenant: "other", Source: "acme", SQL: "SELECT 1"}, "dataSource", `there is no data source "acme" that takes queries of workflows`},
	} {
		problems := s.Check(tt.request)
		if tt.field == "" {
			if problems != nil {
				t.Errorf("%+v: %v", tt.request, problems)
			}
			continue
		}
		if len(problems) != 1 || problems[0].Field != tt.field || !strings.Contains(problems[0].Message, tt.want) || tt.request.Tenant == "other" && strings.Contains(problems[0].Message, `did you mean "acme`) {
			t.Errorf("%+v: %v, want %s %q", tt.request, problems, tt.field, tt.want)
		}
		if _, err := s.Query(t.Context(), tt.request); err == nil || !strings.Contains(err.Error(), tt.field) {
			t.Errorf("%+v runs: %v", tt.request, err)
		}
	}
}
