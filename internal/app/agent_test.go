package app

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/chat/assistant/agent"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/logstream"
)

func who(user string, in ...auth.Membership) *auth.Identity {
	return &auth.Identity{User: user, Tenants: in}
}

var (
	aMember  = who("member", auth.Membership{ID: "acme", Role: auth.Member})
	anAdmin  = who("admin", auth.Membership{ID: "acme", Role: auth.Admin}, auth.Membership{ID: "other", Role: auth.Admin})
	aBackEnd = who("back end", auth.Membership{ID: "acme", Role: auth.Publisher})
	operator = &auth.Identity{User: "op", Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}, Permissions: []auth.Permission{auth.Operate}}
)

// What is said in a conversation is read by its members: the log that an
// administrator searches there is that of its tenant.
func TestLogOfTheAssistant(t *testing.T) {
	lines := logstream.New(100)
	log := slog.New(lines.Handler(slog.NewTextHandler(discard{}, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log.Debug("for all, shared")
	log.Warn("for all, ours", "tenant", "acme")
	log.Warn("for all, another's", "tenant", "other")
	log.Error("for all, somebody's", "user", "x")
	for _, tt := range []struct {
		name   string
		id     *auth.Identity
		tenant string
		q      agent.LogQuery
		want   string
		found  int
	}{
		{"an administrator", anAdmin, "acme", agent.LogQuery{}, "ours shared", 2},
		{"elsewhere", anAdmin, "other", agent.LogQuery{}, "another's shared", 2},
		{"an operator", operator, "acme", agent.LogQuery{}, "ours shared", 2},
		{"a member", aMember, "acme", agent.LogQuery{}, "", 0},
		{"some", anAdmin, "acme", agent.LogQuery{Limit: 1}, "ours", 2},
		{"by level", anAdmin, "acme", agent.LogQuery{Level: "warn"}, "ours", 1},
		{"by text", anAdmin, "acme", agent.LogQuery{Text: "SHARED"}, "shared", 1},
		{"by time", anAdmin, "acme", agent.LogQuery{Since: time.Now().Add(time.Hour)}, "", 0},
	} {
		tt.q.Tenant = tt.tenant
		if tt.q.Limit == 0 {
			tt.q.Limit = 10
		}
		found, n, err := agentLog{lines}.Search(t.Context(), tt.id, tt.q)
		var got []string
		for _, l := range found {
			var content struct{ Message string }
			json.Unmarshal(l.Content, &content)
			got = append(got, strings.TrimPrefix(content.Message, "for all, "))
		}
		if strings.Join(got, " ") != tt.want || n != tt.found || err != nil {
			t.Errorf("%s: %q of %d, %v", tt.name, got, n, err)
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// shop is a database, and what the assistant may ask of it.
func shop(t *testing.T) (agentData, *sql.DB) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.Exec(`CREATE TABLE orders (id INTEGER, customer TEXT, made_by TEXT); INSERT INTO orders VALUES (9007199254740993, 'Ada', '')`); err != nil {
		t.Fatal(err)
	}
	a := &App{opts: Options{Config: config.Config{DataSources: []config.DataSource{
		{Name: "shop", Driver: "sqlite", URL: config.Secret(path), Assistant: true, AllowQueries: true, Tenants: []string{"acme"}, Queries: []config.DataQuery{
			{ID: "ordersOf", SQL: "SELECT customer FROM orders WHERE id = @id", Params: []config.DataParam{{Name: "id", Type: "integer", Required: true}}},
			{ID: "order", Title: "Order", Write: true, SQL: "INSERT INTO orders VALUES (@id, @runUser, @runKey)", Params: []config.DataParam{{Name: "id", Required: true}}},
		}},
		{Name: "sql only", Driver: "sqlite", URL: config.Secret(path), Assistant: true, AllowQueries: true},
		{Name: "closed", Driver: "sqlite", URL: config.Secret(path), AllowQueries: true, Queries: []config.DataQuery{{ID: "secrets", SQL: "SELECT 1"}}},
	}}}}
	if a.data, err = newDataSources(a.opts.Config.DataSources, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.data.Close() })
	return a.agentData(), db
}

func TestDataOfTheAssistant(t *testing.T) {
	data, _ := shop(t)
	for name, tt := range map[string]struct {
		id     *auth.Identity
		tenant string
		want   string
	}{
		"a member":         {aMember, "acme", "shop/2"},
		"an administrator": {anAdmin, "acme", "shop/2+SQL sql only/0+SQL"},
		"another tenant's": {anAdmin, "other", "sql only/0+SQL"},
		"a back end":       {aBackEnd, "acme", ""},
		"a foreigner":      {aMember, "other", ""},
	} {
		var got []string
		for _, s := range data.Sources(tt.id, tt.tenant) {
			text := s.Name + "/" + string(rune('0'+len(s.Queries)))
			if s.SQL {
				text += "+SQL"
			}
			got = append(got, text)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	for name, tt := range map[string]struct {
		id      *auth.Identity
		call    string
		changes bool
		want    string // of the answer, or the error
	}{
		"a number with all its digits": {aMember, `{"dataQueryID": "ordersOf", "args": {"id": 9007199254740993}}`, false, `[{"customer":"Ada"}]`},
		"a change":                     {aMember, `{"dataQueryID": "order", "args": {"id": 1}}`, true, "changes something"},
		"a wrong type":                 {aMember, `{"dataQueryID": "ordersOf", "args": {"id": "x"}}`, false, "args.id: is not of the type integer"},
		"no such query":                {aMember, `{"dataQueryID": "x"}`, false, `there is no query "x"`},
		"a query that is closed":       {anAdmin, `{"dataQueryID": "secrets"}`, false, `there is no query "secrets"`},
		"a source that is closed":      {anAdmin, `{"dataSource": "closed", "query": "SELECT 1"}`, false, "there is no data source"},
		"SQL of a member":              {aMember, `{"dataSource": "shop", "query": "SELECT 1"}`, false, "there is no data source"},
		"SQL":                          {anAdmin, `{"dataSource": "shop", "query": "SELECT @a AS a", "args": {"a": "1"}}`, false, `[{"a":"1"}]`},
		"SQL that changes":             {anAdmin, `{"dataSource": "shop", "query": "DELETE FROM orders"}`, false, "begins with DELETE"},
		"SQL that is wrong":            {anAdmin, `{"dataSource": "shop", "query": "SELECT x FROM orders"}`, false, "no such column"},
	} {
		var call agent.DataCall
		if err := json.Unmarshal([]byte(tt.call), &call); err != nil {
			t.Fatal(err)
		}
		_, changes, err := data.Check(tt.id, "acme", call)
		var answer any
		if err == nil {
			answer, err = data.Query(t.Context(), tt.id, "acme", call)
		}
		raw, _ := json.Marshal(answer)
		if changes != tt.changes || !strings.Contains(string(raw), tt.want) && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %s %t %v", name, raw, changes, err)
		}
	}
}

// A change is made by who approves it, under the key of the approval, as it was
// configured when it was proposed.
func TestQueryTool(t *testing.T) {
	data, db := shop(t)
	tool := queryTool{data}
	proposal := func(arguments string) chat.Proposal {
		return chat.Proposal{Tenant: "acme", Tool: agent.QueryTool, Title: "Order", Arguments: []byte(arguments)}
	}
	good, err := tool.Check(t.Context(), aMember, proposal(`{"dataQueryID": "order", "args": {"id": 5}}`))
	if err != nil || good.Version == "" {
		t.Fatalf("%+v %v", good, err)
	}
	if text, err := tool.Try(t.Context(), aMember, good); err != nil || text != `"Order" would be asked with {"id":5}` {
		t.Errorf("%s %v", text, err)
	}
	changed := good
	changed.Version = "another"
	for name, tt := range map[string]struct {
		id      *auth.Identity
		p       chat.Proposal
		invalid bool
		code    events.Code
	}{
		"without the right":       {aBackEnd, good, false, events.CodePermissionDenied},
		"changed since":           {aMember, changed, true, events.CodeConflict},
		"gone":                    {aMember, proposal(`{"dataQueryID": "gone", "args": {}}`), true, events.CodeValidation},
		"other arguments":         {aMember, proposal(`{"workflowID": "x"}`), true, events.CodeValidation},
		"arguments that are none": {aMember, proposal(`{"dataQueryID": "order", "args": {}}`), true, events.CodeValidation},
	} {
		_, err := tool.Do(t.Context(), tt.id, "a", tt.p)
		if e, _ := errors.AsType[*events.Error](err); e == nil || e.Code != tt.code || errors.Is(err, chat.ErrInvalid) != tt.invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	out, err := tool.Do(t.Context(), aMember, "approval-1", good)
	if err != nil || !out.OK || out.Text != `"Order" is done: {"rowsAffected":1}` {
		t.Errorf("%+v %v", out, err)
	}
	var user, key string
	if err := db.QueryRow(`SELECT customer, made_by FROM orders WHERE id = 5`).Scan(&user, &key); err != nil || user != "member" || key != "approval-1" {
		t.Errorf("%s %s %v", user, key, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tool.Do(ctx, aMember, "approval-2", good); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What came of a run is said in the conversation, which is no place for the whole
// of a large output.
func TestOutcomeOfARun(t *testing.T) {
	large := strings.Repeat("é", 1<<20)
	for _, tt := range []struct {
		end  events.WorkflowStatusUpdate
		ok   bool
		want string
	}{
		{events.WorkflowStatusUpdate{Status: events.RunCompleted, Output: events.JSON(`{"a":1}`)}, true, `"T" ran as r and is COMPLETED: {"a":1}`},
		{events.WorkflowStatusUpdate{Status: events.RunCompleted, Output: events.JSON(`"` + large + `"`)}, true, `"T" ran as r and is COMPLETED: "é`},
		{events.WorkflowStatusUpdate{Status: events.RunFailed, Error: large}, false, `"T" ran as r and ended as FAILED: é`},
	} {
		out := ended("T", "r", tt.end)
		if out.OK != tt.ok || out.InstanceID != "r" || !strings.HasPrefix(out.Text, tt.want) || len(out.Text) > mostOutcome+100 || !utf8.ValidString(out.Text) {
			t.Errorf("%t %q… of %d bytes", out.OK, out.Text[:min(len(out.Text), 60)], len(out.Text))
		}
	}
}

func TestAssistantOfTheConfiguration(t *testing.T) {
	for _, tt := range []struct {
		kind   string
		models int
		agent  bool
	}{{config.Auto, 0, false}, {config.Auto, 1, true}, {config.Builtin, 1, false}, {config.Agent, 1, true}} {
		a := &App{}
		a.opts.Config.Chat.Assistant, a.opts.Config.Chat.Models = tt.kind, make([]config.ChatModel, tt.models)
		if _, is := a.newAssistant().(*agent.Agent); is != tt.agent {
			t.Errorf("%+v", tt)
		}
	}
}
