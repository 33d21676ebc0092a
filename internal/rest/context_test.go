package rest_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
)

// The variables of a run can be read as they were after each entry, by who may
// read the run.
func TestContextOfRun(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin, member := s.Token("ada", "default", auth.Admin), s.Token("bob", "default", auth.Member)
	var run struct{ InstanceID string }
	if status := s.Do(admin, "POST", base+"/test", `{"inputValues":{"n":1},`+definition[1:], &run); status != 201 {
		t.Fatalf("test: %d", status)
	}
	path := base + "/instances/" + run.InstanceID
	eventually.True(t, func() bool {
		var now struct{ Status string }
		s.Do(member, "GET", path, nil, &now)
		return now.Status == "COMPLETED"
	})
	type context struct {
		InstanceID  string
		Offset      uint64
		ContextData map[string]any
	}
	var head context
	if status := s.Do(member, "GET", path+"/context", nil, &head); status != 200 || head.InstanceID != run.InstanceID || fmt.Sprint(head.ContextData) != "map[input:map[n:1] m:2]" {
		t.Errorf("now: %d %+v", status, head)
	}
	for offset, want := range map[uint64]string{1: "map[input:map[n:1]]", head.Offset: "map[input:map[n:1] m:2]"} {
		var at context
		if status := s.Do(member, "GET", fmt.Sprintf("%s/context?offset=%d", path, offset), nil, &at); status != 200 || at.Offset != offset || fmt.Sprint(at.ContextData) != want {
			t.Errorf("after %d: %d %+v", offset, status, at)
		}
	}
	stranger := s.Token("eve", "other", auth.Admin)
	for _, tt := range []struct {
		token, path string
		status      int
		message     string
	}{
		{member, path + "/context?offset=0", 400, "offset: is not the number of an entry, which are 1, 2, 3 and so on"},
		{member, path + "/context?offset=-1", 400, "offset: is not the number of an entry, which are 1, 2, 3 and so on"},
		{member, path + "/context?offset=last", 400, "offset: is not the number of an entry, which are 1, 2, 3 and so on"},
		{member, path + "/context?offset=99", 400, fmt.Sprintf("offset: 99 is not an entry of the run, which has %d so far", head.Offset)},
		{member, base + "/instances/" + uuid.Nil.String() + "/context", 404, "run " + uuid.Nil.String() + " not found"},
		{stranger, path + "/context", 404, "run " + run.InstanceID + " not found"},
		{stranger, "/api/v1/tenants/other/workflows/instances/" + run.InstanceID + "/context", 404, "run " + run.InstanceID + " not found"},
		{"", path + "/context", 401, ""},
	} {
		var a answer
		if status := s.Do(tt.token, "GET", tt.path, nil, &a); status != tt.status || tt.message != "" && a.Error.Message != tt.message {
			t.Errorf("%s: %d %+v", tt.path, status, a)
		}
	}
}
