package rest_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/servertest"
)

// post sends a request with an Idempotency-Key and returns the status, whether
// it is a repeat, and the body.
func post(t *testing.T, s *servertest.Server, token, key, path, body string) (int, bool, string) {
	t.Helper()
	header := http.Header{}
	if key != "" {
		header.Set("Idempotency-Key", key)
	}
	res, raw := s.Send(token, "POST", path, header, strings.NewReader(body))
	return res.StatusCode, res.Header.Get("Idempotent-Replayed") == "true", string(raw)
}

func TestIdempotencyKey(t *testing.T) {
	data := t.TempDir()
	s := servertest.Start(t, servertest.Options{Data: data})
	admin, member := s.Token("ada", "default", auth.Admin), s.Token("bob", "default", auth.Member)
	var w struct{ WorkflowID string }
	s.Do(admin, "POST", base, `{"title":"T","definition":`+definition+`}`, &w)
	execute := base + "/" + w.WorkflowID + "/execute"

	status, again, first := post(t, s, admin, "k1", execute, `{"inputValues":{"n":1}}`)
	if status != 201 || again {
		t.Fatalf("%d %v %s", status, again, first)
	}
	for range 2 {
		if status, again, body := post(t, s, admin, "k1", execute, `{"inputValues":{"n":1}}`); status != 201 || !again || body != first {
			t.Errorf("repeat: %d %v %s, want %s", status, again, body, first)
		}
	}
	for name, tt := range map[string]struct {
		token, key, path, body string
		status                 int
		says                   string
	}{
		"another body":              {admin, "k1", execute, `{"inputValues":{"n":2}}`, 409, `"field":"Idempotency-Key"`},
		"another path":              {admin, "k1", execute + "?x=1", `{"inputValues":{"n":1}}`, 409, `"CONFLICT"`},
		"another user":              {member, "k1", execute, `{"inputValues":{"n":1}}`, 201, "instanceID"},
		"another kind of request":   {admin, "k1", base + "/test", `{"inputValues":{"n":1},` + definition[1:], 201, "isTest"},
		"too long":                  {admin, strings.Repeat("k", 129), execute, `{}`, 400, `"field":"Idempotency-Key"`},
		"an answer with a secret":   {admin, "k1", keysPath, `{"name":"ci"}`, 400, `"field":"Idempotency-Key"`},
		"refused":                   {admin, "k2", base, `{}`, 400, "definition"},
		"refused, then put right":   {admin, "k2", base, `{"title":"U","definition":` + definition + `}`, 201, "workflowID"},
		"a foreign tenant's":        {s.Token("eve", "other", auth.Admin), "k3", execute, `{}`, 404, "NOT_FOUND"},
		"without a key, every time": {admin, "", execute, `{}`, 201, "instanceID"},
	} {
		if name == "refused, then put right" {
			post(t, s, admin, "k2", base, `{}`)
		}
		if name == "refused" {
			tt.key = "k4"
		}
		if status, again, body := post(t, s, tt.token, tt.key, tt.path, tt.body); status != tt.status || again || !strings.Contains(body, tt.says) {
			t.Errorf("%s: %d %v %s", name, status, again, body)
		}
	}

	// Many at once make one run.
	bodies := make([]string, 16)
	var all sync.WaitGroup
	for i := range bodies {
		all.Go(func() { _, _, bodies[i] = post(t, s, admin, "race", execute, `{}`) })
	}
	all.Wait()
	for _, b := range bodies {
		if b != bodies[0] || !strings.Contains(b, "instanceID") {
			t.Errorf("%s, and %s", b, bodies[0])
		}
	}
	var runs struct{ Instances []struct{ InstanceID string } }
	s.Do(admin, "GET", base+"/instances?workflowID="+w.WorkflowID, nil, &runs)
	if len(runs.Instances) != 4 { // k1 of two users, one without a key, race
		t.Errorf("%d runs", len(runs.Instances))
	}

	// Another server of the same data knows what was done.
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s = servertest.Start(t, servertest.Options{Data: data})
	if status, again, body := post(t, s, s.Token("ada", "default", auth.Admin), "k1", execute, `{"inputValues":{"n":1}}`); status != 201 || !again || body != first {
		t.Errorf("after a restart: %d %v %s", status, again, body)
	}
}
