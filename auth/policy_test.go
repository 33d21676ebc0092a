package auth

import "testing"

// The table that policy.go must come to, written out by hand: a change of a
// right has to be made in two places.
func TestRolesAndActions(t *testing.T) {
	want := map[Action]string{ // M a member, A an administrator, P a publisher
		ReadWorkflows: "MA", WriteWorkflows: "A", Execute: "MA", ReadRuns: "MA", AnswerRuns: "MA", StopRuns: "A", ReportRuns: "AP",
		Chat: "MA", UseWidgets: "MA", JoinTenant: "MA", Meet: "MA", ReadListeners: "MA", WriteListeners: "A", Publish: "AP", ManageKeys: "A", Monitor: "A",
		"no:such": "", "": "",
	}
	for action, roles := range want {
		for letter, role := range map[string]Role{"M": Member, "A": Admin, "P": Publisher, "": "KING"} {
			id := &Identity{User: "ada", Tenants: []Membership{{"acme", role}}}
			allowed := letter != "" && containsLetter(roles, letter)
			if got := id.Can(action, "acme"); got != allowed {
				t.Errorf("%s as %s: %v", action, role, got)
			}
			if id.Can(action, "other") || (*Identity)(nil).Can(action, "acme") {
				t.Errorf("%s in another tenant, or by nobody", action)
			}
		}
	}
	for _, rule := range policy {
		if _, ok := want[rule.action]; !ok || rule.what == "" {
			t.Errorf("%s is not in this test, or not explained", rule.action)
		}
	}
}

func containsLetter(s, letter string) bool {
	for _, r := range s {
		if string(r) == letter {
			return true
		}
	}
	return false
}

func TestEvents(t *testing.T) {
	none, member := &Identity{User: "ada"}, &Identity{User: "ada", Tenants: []Membership{{"acme", Member}}}
	for event, who := range map[string]string{ // N without a tenant, M a member
		"ai_chat_room_join": "M", "ai_chat_room_disconnect": "NM", "ai_chat_user_message": "M", "ai_chat_approval": "M", "workflow_run_join": "M",
		"widget_workflow_connect": "M", "widget_send_input": "M", "widget_refresh": "M", "widget_workflow_disconnect": "NM",
		"join_room": "NM", "leave_room": "NM", "join_tenant": "M", "auth_refresh": "NM", "no_such_event": "",
	} {
		if none.CanEmit(event) != containsLetter(who, "N") || member.CanEmit(event) != containsLetter(who, "M") {
			t.Errorf("%s: without a tenant %v, as a member %v", event, none.CanEmit(event), member.CanEmit(event))
		}
		if (*Identity)(nil).CanEmit(event) {
			t.Errorf("%s by nobody", event)
		}
	}
}

func TestRooms(t *testing.T) {
	who := map[string]*Identity{
		"M": {User: "ada", Tenants: []Membership{{"acme", Member}}},
		"A": {User: "ada", Tenants: []Membership{{"acme", Admin}}},
		"F": {User: "ada", Tenants: []Membership{{"other", Admin}}}, // foreign
		"B": {User: "bob", Tenants: []Membership{{"acme", Admin}}},  // another user
		"O": {User: "ops", Permissions: []Permission{Operate}},      // operator
		"N": {User: "eve"},                                          // in no tenant
	}
	for _, tt := range []struct {
		kind          RoomKind
		tenant, owner string
		allowed       string
	}{
		{"run", "acme", "ada", "MAB"},
		{"chat", "acme", "ada", "MA"},
		{"chat", "", "ada", "MAF"},
		{"chat", "", "eve", "N"},
		{"workflow", "acme", "", "MAB"},
		{"widget", "acme", "", "MAB"},
		{"tenant", "acme", "", "MAB"},
		{"user", "acme", "ada", "MA"},
		{"user", "acme", "bob", "B"},
		{"entity", "acme", "", "MAB"},
		{"agent", "acme", "", "MAB"},
		{"listener", "acme", "", "MAB"},
		{"listener_test", "acme", "", "MAB"},
		{"listener:app_page", "acme", "", "MAB"},
		{"log:tenant", "acme", "", "AB"},
		{"log:shared", "", "", "AFB"},
		{"stats", "", "", "AFBO"},
		{"log:all", "", "", "O"},
		{"run", "", "", ""},
		{"no such kind", "acme", "ada", ""},
	} {
		for letter, id := range who {
			if got := id.MayBeIn(tt.kind, tt.tenant, tt.owner); got != containsLetter(tt.allowed, letter) {
				t.Errorf("%s of %q: %s %v", tt.kind, tt.tenant, letter, got)
			}
		}
		if (*Identity)(nil).MayBeIn(tt.kind, tt.tenant, tt.owner) {
			t.Errorf("%s: nobody", tt.kind)
		}
	}
}
