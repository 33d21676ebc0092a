package app

import (
	"fmt"
	"go/ast"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/logstream"
	"github.com/roomcast/roomcast/namespaces"
	"github.com/roomcast/roomcast/namespaces/monitor"
	"github.com/roomcast/roomcast/namespaces/renewal"
	"github.com/roomcast/roomcast/namespaces/root"
)

// Every event that has a route has a row in the policy, and the reverse: one
// without would be refused, and a row without a route protects nothing.
func TestEveryEventHasAPolicy(t *testing.T) {
	routed := map[string]bool{}
	for _, ns := range []namespaces.Namespace{root.New(root.Services{}), monitor.New(logstream.New(1), nil)} {
		for _, r := range renewal.Extend(ns, nil).Routes {
			routed[r.Event] = true
		}
	}
	rows := map[string]bool{}
	for _, event := range auth.Events() {
		rows[event] = true
		if !routed[event] {
			t.Errorf("%s has a policy but no route", event)
		}
	}
	for event := range routed {
		if !rows[event] {
			t.Errorf("%s has no row in auth/policy.go", event)
		}
	}
}

// Every kind of room that events declares is in the policy.
func TestEveryRoomHasAPolicy(t *testing.T) {
	kinds := map[string]auth.RoomKind{
		"RunRoom": "run", "WorkflowRoom": "workflow", "ChatRoom": "chat", "ChatStreamRoom": "chat_stream", "WidgetRoom": "widget", "TenantRoom": "tenant", "ListenerRoom": "listener",
		"UserRoom": "user", "EntityRoom": "entity", "AgentRoom": "agent",
		"ListenerTestRoom": "listener_test", "AppPageRoom": "listener:app_page", "LogRoomTenant": "log:tenant",
		"LogRoomAll": "log:all", "LogRoomShared": "log:shared",
	}
	has := func(name string) {
		kind, ok := kinds[name]
		if !ok || !slices.Contains(auth.RoomKinds(), kind) {
			t.Errorf("events.%s has no row in auth/policy.go, or is not in this test", name)
		}
	}
	for file, f := range sources(t, "../../events", 0) {
		if !strings.HasSuffix(file, "room.go") {
			continue
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					has(d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok {
						has(v.Names[0].Name)
					}
				}
			}
		}
	}
}

// The table of rights in the documentation is that of the program.
func TestRightsInTheDocumentation(t *testing.T) {
	raw, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	mark := func(role auth.Role, a auth.Action) string {
		if (&auth.Identity{Tenants: []auth.Membership{{ID: "t", Role: role}}}).Can(a, "t") {
			return "✓"
		}
		return ""
	}
	var want []string
	for a, what := range auth.Actions() {
		want = append(want, strings.Join(strings.Fields(fmt.Sprintf("| `%s` | %s | %s | %s | %s |", a, what, mark(auth.Member, a), mark(auth.Admin, a), mark(auth.Publisher, a))), " "))
	}
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `[a-z]+:[a-z]+` \\| .*\\|$").FindAllString(string(raw), -1) {
		if strings.Count(row, "|") == 6 {
			got = append(got, strings.Join(strings.Fields(row), " "))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("docs/security.md says\n%s\nthe program\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
