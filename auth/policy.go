package auth

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
	Chat           Action = "chat:use"
	UseWidgets     Action = "widget:use"
	JoinTenant     Action = "tenant:join"
	ReadListeners  Action = "listener:read"
	WriteListeners Action = "listener:write"
	Monitor        Action = "monitor:read"
)

// rights says what a role may do in its tenant. What is not here is refused.
var rights = map[Role]map[Action]bool{
	Member: {
		ReadWorkflows: true,
		Execute:       true,
		ReadRuns:      true,
		AnswerRuns:    true,
		Chat:          true,
		UseWidgets:    true,
		JoinTenant:    true,
		ReadListeners: true,
	},
	Admin: {
		ReadWorkflows:  true,
		WriteWorkflows: true,
		Execute:        true,
		ReadRuns:       true,
		AnswerRuns:     true,
		StopRuns:       true,
		Chat:           true,
		UseWidgets:     true,
		JoinTenant:     true,
		ReadListeners:  true,
		WriteListeners: true,
		Monitor:        true,
	},
}

// Can reports whether the user may do something in a tenant.
func (id *Identity) Can(a Action, tenant string) bool {
	return id != nil && rights[id.Role(tenant)][a]
}

// CanMonitor reports whether the user may see the server's log, of whichever
// tenants.
func (id *Identity) CanMonitor() bool {
	if id == nil {
		return false
	}
	if id.Operator() {
		return true
	}
	for _, m := range id.Tenants {
		if rights[m.Role][Monitor] {
			return true
		}
	}
	return false
}
