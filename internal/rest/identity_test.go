package rest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/servertest"
)

const keysPath = "/api/v1/tenants/default/api-keys"

func TestAPIKeysOverREST(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.Token("ada", "default", auth.Admin)
	var key struct{ KeyID, APIKey, Prefix, UserID, Role, CreatedBy string }
	if status := s.Do(admin, "POST", keysPath, map[string]any{"name": "ci"}, &key); status != http.StatusCreated || len(key.APIKey) != 64 ||
		!strings.HasPrefix(key.APIKey, key.Prefix) || key.UserID != "ada" || key.Role != "MEMBER" || key.CreatedBy != "ada" {
		t.Fatalf("create: %d %+v", status, key)
	}
	var me struct {
		UserID, Method string
		Tenants        []auth.Membership
	}
	if status := s.Do(key.APIKey, "GET", "/api/v1/me", nil, &me); status != 200 || me.UserID != "ada" || me.Method != "api_key" || me.Tenants[0] != (auth.Membership{ID: "default", Role: auth.Member}) {
		t.Errorf("me: %d %+v", status, me)
	}
	var robot struct{ APIKey string }
	s.Do(admin, "POST", keysPath, map[string]any{"name": "robot", "role": "ADMIN"}, &robot)
	var more answer
	if status := s.Do(robot.APIKey, "POST", keysPath, map[string]any{"name": "child"}, &more); status != 403 || more.Error.Code != "PERMISSION_DENIED" {
		t.Errorf("a key made by a key: %d %+v", status, more)
	}
	var list struct{ APIKeys []map[string]any }
	s.Do(admin, "GET", keysPath, nil, &list)
	if len(list.APIKeys) != 2 || list.APIKeys[0]["apiKey"] != nil || list.APIKeys[0]["SHA256"] != nil || list.APIKeys[0]["disabledAt"] != nil {
		t.Errorf("list: %+v", list)
	}
	var disabled struct{ DisabledAt *time.Time }
	if status := s.Do(admin, "DELETE", keysPath+"/"+key.KeyID, nil, &disabled); status != 200 || disabled.DisabledAt == nil {
		t.Errorf("disable: %d %+v", status, disabled)
	}
	var refused answer
	if status := s.Do(key.APIKey, "GET", "/api/v1/me", nil, &refused); status != 401 || refused.Error.Code != "INVALID_API_KEY" {
		t.Errorf("disabled: %d %+v", status, refused)
	}
	if strings.Contains(s.Log.String(), key.APIKey) {
		t.Error("the key is in the log")
	}
}

func TestRevocationsSurviveARestart(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	operator := s.Sign(auth.Identity{User: "ops", Permissions: []auth.Permission{auth.Operate}}, time.Hour)
	bob := s.Token("bob", "default", auth.Member)
	var made struct{ Kind, ID, By string }
	if status := s.Do(operator, "POST", "/api/v1/revocations", map[string]any{"kind": "user", "id": "bob", "reason": "left"}, &made); status != 201 || made.By != "ops" {
		t.Fatalf("revoke: %d %+v", status, made)
	}
	check := func(s *servertest.Server) {
		t.Helper()
		var a answer
		if status := s.Do(bob, "GET", "/api/v1/me", nil, &a); status != 401 || a.Error.Code != "CREDENTIAL_REVOKED" {
			t.Errorf("revoked: %d %+v", status, a)
		}
	}
	check(s)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	again := servertest.Start(t, servertest.Options{Data: s.Data})
	check(again)
	var list struct{ Revocations []struct{ ID, Reason string } }
	if again.Do(operator, "GET", "/api/v1/revocations", nil, &list); len(list.Revocations) != 1 || list.Revocations[0].Reason != "left" {
		t.Errorf("list: %+v", list)
	}
}

func TestTooManyFailuresSayWhenToTryAgain(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	var last *http.Response
	for range 21 {
		req, _ := http.NewRequest("GET", s.URL+"/api/v1/me", nil)
		req.Header.Set("Authorization", "Bearer rubbish")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		last = res
	}
	if last.StatusCode != http.StatusTooManyRequests || last.Header.Get("Retry-After") != "1" {
		t.Errorf("%d, retry after %q", last.StatusCode, last.Header.Get("Retry-After"))
	}
	if status := s.Do(s.Token("ada", "default", auth.Member), "GET", "/api/v1/me", nil, nil); status != 200 {
		t.Errorf("a good credential: %d", status)
	}
}
