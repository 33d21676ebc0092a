package events

import (
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for _, a := range []Address{
		{"user", "acme", "", "ada"},
		{"user", "a:b%", "", "ada@example.org/x y"},
		{"agent", "acme", "", "%3A"},
		{"entity", "acme", "task", "task-789"},
		{"entity", "a:b", "c:d", "e:f"},
		{"entity", "acme", "é", strings.Repeat("é", 128)},
	} {
		room := map[string]Room{"user": UserRoom(a.Tenant, a.ID), "agent": AgentRoom(a.Tenant, a.ID), "entity": EntityRoom(a.Tenant, a.Type, a.ID)}[a.Kind]
		if got, ok := ParseAddress(room); !ok || got != a {
			t.Errorf("%s: %+v %v", room, got, ok)
		}
	}
	for _, room := range []Room{
		"", "user", "user:", "user:acme", "user:acme:", "user::ada", "user:acme:a:b", "user:acme:a%", "user:acme:%41", "user:acme:%3a", "user:acme:a\n",
		"agent:acme:", "entity:acme:task", "entity:acme:task:", "entity:acme::x", "entity::task:x", "entity:acme:task:x:y", "entity:acme:ta\tsk:x",
		"tenant:acme", "log:all", "listener:app_page:1", "User:acme:ada", Room("agent:acme:" + strings.Repeat("x", 129)), "user:acme:\xff",
	} {
		if a, ok := ParseAddress(room); ok {
			t.Errorf("%s: %+v", room, a)
		}
	}
}
