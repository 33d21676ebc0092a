package rest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
)

const base = "/api/v1/tenants/default/workflows"

const definition = `{"nodes":[{"id":"s","type":"start","data":{}},{"id":"t","type":"transform","data":{"expression":"input.n + 1","outputVariable":"m"}}],"edges":[{"source":"s","target":"t"}]}`

type answer struct {
	Error struct{ Code, Message, Field string }
}

func TestWorkflowsOverREST(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin, member := s.Token("ada", "default", auth.Admin), s.Token("bob", "default", auth.Member)
	var w struct{ WorkflowID, Title string }
	if status := s.Do(admin, "POST", base, `{"title":"T",`+definition[1:], &w); status != http.StatusCreated || w.Title != "T" {
		t.Fatalf("create: %d %+v", status, w)
	}
	var list struct{ Workflows []struct{ Title string } }
	if s.Do(member, "GET", base, nil, &list); len(list.Workflows) != 4 {
		t.Errorf("list: %+v", list)
	}
	var changed struct{ Title string }
	if status := s.Do(admin, "PATCH", base+"/"+w.WorkflowID, map[string]any{"title": "U"}, &changed); status != 200 || changed.Title != "U" {
		t.Errorf("change: %d %+v", status, changed)
	}
	var clone struct{ WorkflowID, Title string }
	if status := s.Do(admin, "POST", base+"/"+w.WorkflowID+"/clone", nil, &clone); status != 201 || clone.Title != "U (copy)" {
		t.Errorf("clone: %d %+v", status, clone)
	}
	var exported struct{ Definition struct{ Nodes []any } }
	if s.Do(member, "POST", base+"/"+w.WorkflowID+"/export", nil, &exported); len(exported.Definition.Nodes) != 2 {
		t.Errorf("export: %+v", exported)
	}
	var started struct{ InstanceID string }
	if status := s.Do(member, "POST", base+"/"+w.WorkflowID+"/execute", map[string]any{"inputValues": map[string]any{"n": 1}}, &started); status != 201 {
		t.Fatalf("execute: %d", status)
	}
	var run struct {
		Status        string
		WorkflowTitle string
		ContextData   struct{ M int }
		Logs          []any
		IsTest        bool
	}
	for end := time.Now().Add(10 * time.Second); run.Status != "COMPLETED" && time.Now().Before(end); {
		s.Do(member, "GET", base+"/instances/"+started.InstanceID, nil, &run)
	}
	if run.Status != "COMPLETED" || run.ContextData.M != 2 || run.WorkflowTitle != "U" || len(run.Logs) != 4 || run.IsTest {
		t.Errorf("run: %+v", run)
	}
	var test struct {
		InstanceID string
		IsTest     bool
	}
	if status := s.Do(admin, "POST", base+"/test", `{"inputValues":{"n":1},`+definition[1:], &test); status != 201 || !test.IsTest {
		t.Errorf("test: %d %+v", status, test)
	}
	var runs struct{ Instances []struct{ InstanceID string } }
	if s.Do(member, "GET", base+"/instances?workflowID="+w.WorkflowID, nil, &runs); len(runs.Instances) != 1 || runs.Instances[0].InstanceID != started.InstanceID {
		t.Errorf("runs: %+v", runs)
	}
	var widget struct{ WidgetID string }
	if status := s.Do(member, "POST", base+"/instances/"+started.InstanceID+"/widget", nil, &widget); status != 201 || len(widget.WidgetID) != 36 {
		t.Errorf("widget: %d %+v", status, widget)
	}
	if status := s.Do(admin, "DELETE", base+"/"+w.WorkflowID, nil, nil); status != 200 {
		t.Errorf("delete: %d", status)
	}
	var me struct{ UserID string }
	if s.Do(member, "GET", "/api/v1/me", nil, &me); me.UserID != "bob" {
		t.Errorf("me: %+v", me)
	}
}

// All that is wrong with a definition is told at once.
func TestProblemsOfADefinition(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	var refused struct {
		Error struct {
			Field    string
			Problems []struct{ NodeID, Field, Message string }
		}
	}
	body := `{"title":"T","nodes":[{"id":"x","type":"warp"},{"id":"h","type":"http","data":{}}],"edges":[{"source":"x","target":"y"}]}`
	s.Do(s.Token("ada", "default", auth.Admin), "POST", base, body, &refused)
	if e := refused.Error; e.Field != "nodes[0].type" || len(e.Problems) != 4 || e.Problems[1].NodeID != "h" || e.Problems[1].Field != "nodes[1].data.url" {
		t.Errorf("%+v", refused)
	}
}

func TestRefusals(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.Server.MaxBody = 2000 }})
	admin, member, foreign := s.Token("ada", "default", auth.Admin), s.Token("bob", "default", auth.Member), s.Token("eve", "other", auth.Admin)
	var w struct{ WorkflowID string }
	s.Do(admin, "POST", base, `{"title":"T","definition":`+definition+`}`, &w)
	var run struct{ InstanceID string }
	s.Do(member, "POST", base+"/"+w.WorkflowID+"/execute", nil, &run)
	other := strings.Replace(base, "default", "other", 1)
	for _, tt := range []struct {
		token, method, path string
		body                any
		status              int
		code, field         string
	}{
		{"", "GET", base, nil, 401, "USER_AUTH_TOKEN_NOT_FOUND", ""},
		{"rubbish", "GET", base, nil, 401, "USER_AUTH_TOKEN_INVALID", ""},
		{strings.Repeat("f", 64), "GET", base, nil, 401, "INVALID_API_KEY", ""},
		{foreign, "GET", base, nil, 404, "NOT_FOUND", ""},
		{foreign, "POST", base, `{"title":"T","definition":` + definition + `}`, 404, "NOT_FOUND", ""},
		{foreign, "GET", base + "/" + w.WorkflowID, nil, 404, "NOT_FOUND", ""},
		{foreign, "GET", other + "/" + w.WorkflowID, nil, 404, "NOT_FOUND", ""},
		{foreign, "GET", other + "/instances/" + run.InstanceID, nil, 404, "NOT_FOUND", ""},
		{foreign, "POST", base + "/" + w.WorkflowID + "/execute", nil, 404, "NOT_FOUND", ""},
		{member, "GET", other, nil, 404, "NOT_FOUND", ""},
		{member, "GET", other + "/" + w.WorkflowID, nil, 404, "NOT_FOUND", ""},
		{member, "POST", base, `{"title":"T","definition":` + definition + `}`, 403, "PERMISSION_DENIED", ""},
		{member, "DELETE", base + "/" + w.WorkflowID, nil, 403, "PERMISSION_DENIED", ""},
		{member, "DELETE", base + "/instances/" + run.InstanceID + "/stop", nil, 403, "PERMISSION_DENIED", ""},
		{admin, "POST", base, `{"title":"T"}`, 400, "VALIDATION_ERROR", "definition"},
		{admin, "POST", base, `{"title":"T","definition":{"nodes":[{"id":"x","type":"warp"}]}}`, 400, "VALIDATION_ERROR", "nodes[0].type"},
		{admin, "POST", base, `{"title":"T","nodes":[],"definition":` + definition + `}`, 400, "VALIDATION_ERROR", "definition"},
		{admin, "POST", base, `[]`, 400, "VALIDATION_ERROR", "body"},
		{admin, "POST", base, `{"titel":"T"}`, 400, "VALIDATION_ERROR", "titel"},
		{admin, "POST", base, `{"title":7}`, 400, "VALIDATION_ERROR", "title"},
		{admin, "POST", base, `{`, 400, "VALIDATION_ERROR", "body"},
		{admin, "POST", base, `{} {}`, 400, "VALIDATION_ERROR", "body"},
		{admin, "POST", base, `{"title":"` + strings.Repeat("x", 3000) + `"}`, 413, "PAYLOAD_TOO_LARGE", ""},
		{admin, "GET", base + "/instances?limit=many", nil, 400, "VALIDATION_ERROR", "limit"},
		{admin, "GET", base + "/nothing", nil, 404, "NOT_FOUND", ""},
		{admin, "GET", "/api/v1/nothing", nil, 404, "NOT_FOUND", ""},
		{admin, "PUT", base, nil, 404, "NOT_FOUND", ""},
		{admin, "POST", base + "/data-collection", `{}`, 400, "VALIDATION_ERROR", "collectionRequestID"},
		{admin, "POST", base + "/data-collection", `{"collectionRequestID":"x"}`, 404, "NOT_FOUND", ""},
		{member, "POST", "/api/v1/tenants/default/listeners", `{"title":"L"}`, 403, "PERMISSION_DENIED", ""},
		{admin, "POST", "/api/v1/tenants/default/listeners", `{"title":"L","kind":"ear"}`, 400, "VALIDATION_ERROR", "kind"},
		{foreign, "POST", "/api/v1/tenants/default/listeners/x/events", `{"data":1}`, 404, "NOT_FOUND", ""},
	} {
		var a answer
		status := s.Do(tt.token, tt.method, tt.path, tt.body, &a)
		if status != tt.status || a.Error.Code != tt.code || a.Error.Field != tt.field || a.Error.Message == "" {
			t.Errorf("%s %s %v: %d %+v, want %d %s %q", tt.method, tt.path, tt.body, status, a.Error, tt.status, tt.code, tt.field)
		}
	}
	// A run that is over cannot be stopped.
	var a answer
	for end := time.Now().Add(10 * time.Second); a.Error.Code == "" && time.Now().Before(end); {
		s.Do(admin, "DELETE", base+"/instances/"+run.InstanceID+"/stop", nil, &a)
	}
	if a.Error.Code != "CONFLICT" {
		t.Errorf("stopping what is over: %+v", a.Error)
	}
}

// Who keeps up with a run reads what is new in it, and the definition that it
// began with.
func TestLogsOfARun(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin, foreign := s.Token("ada", "acme", auth.Admin), s.Token("eve", "other", auth.Admin)
	const base = "/api/v1/tenants/acme/workflows"
	var w struct{ WorkflowID string }
	s.Do(admin, "POST", base, `{"title":"T","definition":`+definition+`}`, &w)
	var run struct{ InstanceID string }
	s.Do(admin, "POST", base+"/"+w.WorkflowID+"/execute", `{"inputValues":{"n":1}}`, &run)
	s.Do(admin, "DELETE", base+"/"+w.WorkflowID, nil, nil)
	at := base + "/instances/" + run.InstanceID
	var all, rest struct {
		Logs []struct {
			Seq  uint64
			Type string
		}
	}
	eventually.True(t, func() bool {
		s.Do(admin, "GET", at+"/logs", nil, &all)
		return len(all.Logs) == 4
	})
	s.Do(admin, "GET", at+"/logs?after=2", nil, &rest)
	if !slices.Equal(rest.Logs, all.Logs[2:]) || rest.Logs[1].Type != "RUN_ENDED" {
		t.Errorf("%+v of %+v", rest.Logs, all.Logs)
	}
	var began struct {
		Title      string
		Definition struct{ Nodes []struct{ ID string } }
	}
	if s.Do(admin, "GET", at+"/definition", nil, &began); began.Title != "T" || len(began.Definition.Nodes) != 2 {
		t.Errorf("%+v", began)
	}
	for _, path := range []string{at + "/logs", at + "/definition"} {
		if status := s.Do(foreign, "GET", path, nil, nil); status != 404 {
			t.Errorf("%s answers a stranger with %d", path, status)
		}
	}
	if status := s.Do(admin, "GET", at+"/logs?after=x", nil, nil); status != 400 {
		t.Errorf("after=x: %d", status)
	}
}
