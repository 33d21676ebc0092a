package rest_test

import (
	"net/url"
	"testing"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/servertest"
)

// Workflows under ids that their authors choose.
func TestExternalIDs(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin, member := s.Token("ada", "default", auth.Admin), s.Token("bob", "default", auth.Member)
	elsewhere := s.Token("eve", "other", auth.Admin)
	var w, again struct{ WorkflowID, ExternalID, Title string }
	if status := s.Do(admin, "PUT", base+"/wf-123", definition, &w); status != 201 || w.ExternalID != "wf-123" || w.Title != "wf-123" || uuid.Validate(w.WorkflowID) != nil {
		t.Fatalf("%d %+v", status, w)
	}
	if status := s.Do(admin, "PUT", base+"/wf-123", `{"title":"T",`+definition[1:], &again); status != 200 || again.WorkflowID != w.WorkflowID || again.Title != "T" {
		t.Errorf("replaced: %d %+v", status, again)
	}
	if status := s.Do(admin, "PUT", base+"/"+w.WorkflowID, definition, &again); status != 200 || again.ExternalID != "wf-123" || again.Title != "T" {
		t.Errorf("replaced by its ID: %d %+v", status, again)
	}
	var started struct{ InstanceID string }
	if status := s.Do(member, "POST", base+"/wf-123/execute", `{"inputValues":{"n":1}}`, &started); status != 201 {
		t.Errorf("execute: %d", status)
	}
	var runs struct{ Instances []struct{ WorkflowID string } }
	if s.Do(member, "GET", base+"/instances?workflowID=wf-123", nil, &runs); len(runs.Instances) != 1 || runs.Instances[0].WorkflowID != w.WorkflowID {
		t.Errorf("runs: %+v", runs)
	}
	odd := base + "/" + url.PathEscape("a/b: ☕ c")
	if status := s.Do(admin, "PUT", odd, definition, &again); status != 201 || again.ExternalID != "a/b: ☕ c" {
		t.Errorf("an odd id: %d %+v", status, again)
	}
	const other = "/api/v1/tenants/other/workflows"
	if status := s.Do(elsewhere, "PUT", other+"/wf-123", definition, &again); status != 201 || again.WorkflowID == w.WorkflowID {
		t.Errorf("the same id in another tenant: %d %+v", status, again)
	}
	for _, tt := range []struct {
		token, method, path, field string
		status                     int
	}{
		{admin, "PUT", base + "/instances", "id", 400},
		{admin, "PUT", base + "/" + url.PathEscape("a\tb"), "id", 400},
		{admin, "PUT", base + "/" + uuid.NewString(), "", 404},
		{admin, "PUT", other + "/wf-124", "", 404},
		{elsewhere, "PUT", other + "/" + w.WorkflowID, "", 404},
		{elsewhere, "PUT", base + "/wf-123", "", 404},
		{member, "PUT", base + "/wf-123", "", 403},
		{member, "GET", base + "/wf-124", "", 404},
		{member, "DELETE", base + "/wf-123", "", 403},
		{admin, "DELETE", odd, "", 200},
		{admin, "GET", odd, "", 404},
	} {
		var a answer
		if status := s.Do(tt.token, tt.method, tt.path, definition, &a); status != tt.status || a.Error.Field != tt.field {
			t.Errorf("%s %s: %d %+v", tt.method, tt.path, status, a)
		}
	}
}
