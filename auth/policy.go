package auth

import "slices"

// An Action is something that needs a right in a tenant.
type Action string

// The actions.
const (
	ReadWorkflows  Action = "workflow:read"
	WriteWorkflows Action = "workflow:write"
	Execute        Action = "workflow:execute"
	ReadRuns       Action = "run:read"
	AnswerRuns     Action = "run:answer" // give a run the input that it waits for
	StopRuns       Action = "run:stop"
	ReportRuns     Action = "run:report" // carry runs on from elsewhere
	Chat           Action = "chat:use"
	UseWidgets     Action = "widget:use"
	JoinTenant     Action = "tenant:join"
	Meet           Action = "meet:join"
	ReadListeners  Action = "listener:read"
	WriteListeners Action = "listener:write"
	Publish        Action = "room:publish"
	ManageKeys     Action = "key:manage"
	Monitor        Action = "monitor:read"
)

// SignedIn is what takes no right in any tenant, only an identity.
const SignedIn Action = "signed-in"

// policy says which role may do what in its tenant. What is not here is
// refused, to every role.
var policy = []struct {
	action Action
	roles  []Role
	what   string
}{
	{ReadWorkflows, []Role{Member, Admin}, "see workflows"},
	{WriteWorkflows, []Role{Admin}, "create, change, test and delete workflows"},
	{Execute, []Role{Member, Admin}, "start runs, from a widget too, and approve what the assistant proposes"},
	{ReadRuns, []Role{Member, Admin}, "see and follow runs"},
	{AnswerRuns, []Role{Member, Admin}, "give runs the input that they wait for"},
	{StopRuns, []Role{Admin}, "stop runs"},
	{ReportRuns, []Role{Publisher, Admin}, "carry runs on from elsewhere: announce them, report what happens, and read what people did in them"},
	{Chat, []Role{Member, Admin}, "talk to the assistant, in conversations of one's own and those that one was let into"},
	{UseWidgets, []Role{Member, Admin}, "show widgets of the tenant"},
	{JoinTenant, []Role{Member, Admin}, "hear what is published to the tenant: to all of it, to oneself, and about its entities and agents"},
	{Meet, []Role{Member, Admin}, "take part in meetings, and get credentials for TURN servers"},
	{ReadListeners, []Role{Member, Admin}, "hear listeners and the pages that show them"},
	{WriteListeners, []Role{Admin}, "create, feed and delete listeners"},
	{Publish, []Role{Publisher, Admin}, "publish to rooms of the tenant, over HTTP"},
	{ManageKeys, []Role{Admin}, "create, list and disable the tenant's API keys"},
	{Monitor, []Role{Admin}, "watch log lines about the tenant, and the server's numbers"},
}

// eventPolicy says what a client needs to emit an event, in at least one of
// its tenants. It is asked before the event's handler runs, which then asks
// again about the tenant of what the payload names. An event that is not here
// is refused, whoever emits it.
var eventPolicy = map[string]Action{
	"ai_chat_room_join":          Chat,
	"ai_chat_room_disconnect":    SignedIn,
	"ai_chat_user_message":       Chat, // approving takes Execute
	"ai_chat_stop":               Chat,
	"ai_chat_typing":             Chat,
	"ai_chat_approval":           Chat, // approving takes Execute
	"ai_chat_history":            Chat,
	"workflow_run_join":          ReadRuns,
	"widget_workflow_connect":    UseWidgets, // mode execute takes Execute, others ReadRuns
	"widget_send_input":          AnswerRuns,
	"widget_refresh":             Execute,
	"widget_workflow_disconnect": SignedIn,
	"join_room":                  SignedIn, // see roomPolicy
	"leave_room":                 SignedIn,
	"join_tenant":                JoinTenant,
	"auth_refresh":               SignedIn,
}

// A RoomKind is what a room's name begins with, or what its bare id is of.
type RoomKind string

// roomPolicy says what it takes to be in a room. It is asked when a session
// joins, and for every room again when a session changes its identity.
var roomPolicy = map[RoomKind]struct {
	action   Action
	where    where
	operator bool // operators of the server may be there too
}{
	"run":               {ReadRuns, inItsTenant, false},
	"workflow":          {ReadRuns, inItsTenant, false},
	"chat":              {Chat, ofItsOwner, false},
	"chat_stream":       {Chat, ofItsOwner, false},
	"widget":            {UseWidgets, inItsTenant, false},
	"tenant":            {JoinTenant, inItsTenant, false},
	"user":              {JoinTenant, ofItsOwner, false},
	"entity":            {JoinTenant, inItsTenant, false},
	"agent":             {JoinTenant, inItsTenant, false},
	"listener":          {ReadListeners, inItsTenant, false},
	"listener_test":     {ReadListeners, inItsTenant, false},
	"listener:app_page": {ReadListeners, inItsTenant, false},
	"log:tenant":        {Monitor, inItsTenant, false},
	"log:shared":        {Monitor, inAnyTenant, false},
	"stats":             {Monitor, inAnyTenant, true},
	"log:all":           {"", nowhere, true},
}

// where is in which tenant a room asks for a right.
type where uint8

const (
	nowhere     where = iota
	inItsTenant       // that of the row which the room is of
	ofItsOwner        // the same, and only for the user whose row it is, or whom that user has let in
	inAnyTenant
)

// MayBeIn reports whether the user may be in a room of a kind. tenant and
// owner are those of the row that the room is of; a row of nobody's tenant,
// such as a conversation that has not begun, is its owner's alone.
func (id *Identity) MayBeIn(kind RoomKind, tenant, owner string) bool {
	p, ok := roomPolicy[kind]
	switch {
	case id == nil || !ok:
		return false
	case p.operator && id.Operator():
		return true
	}
	switch p.where {
	case inItsTenant:
		return id.Can(p.action, tenant)
	case ofItsOwner:
		return owner == id.User && (tenant == "" || id.Can(p.action, tenant))
	case inAnyTenant:
		return id.CanSomewhere(p.action)
	}
	return false
}

// Valid reports whether there is such a role.
func (r Role) Valid() bool { return r == Admin || r == Member || r == Publisher }

// allows reports whether a role may do something in its tenant.
func allows(r Role, a Action) bool {
	for _, rule := range policy {
		if rule.action == a {
			return slices.Contains(rule.roles, r)
		}
	}
	return false
}

// Can reports whether the user may do something in a tenant.
func (id *Identity) Can(a Action, tenant string) bool {
	return id != nil && allows(id.Role(tenant), a)
}

// CanSomewhere reports whether the user may do something in any tenant.
func (id *Identity) CanSomewhere(a Action) bool {
	return id != nil && (a == SignedIn || slices.ContainsFunc(id.Tenants, func(m Membership) bool { return allows(m.Role, a) }))
}

// CanEmit reports whether the user may emit an event at all.
func (id *Identity) CanEmit(event string) bool {
	a, ok := eventPolicy[event]
	return id != nil && ok && id.CanSomewhere(a)
}

// CanMonitor reports whether the user may see the server's log, of whichever
// tenants.
func (id *Identity) CanMonitor() bool {
	return id != nil && (id.Operator() || id.CanSomewhere(Monitor))
}
