package events

// A Room is an address that sessions subscribe to. The names are part of the
// protocol: back ends publish to them, and on Redis they are channels.
type Room string

// RunRoom is where the updates of a workflow run go. It is the bare id.
func RunRoom(instanceID string) Room { return Room(instanceID) }

// WorkflowRoom is where it is told that runs of a workflow begin and end. A colon
// in the tenant is written %3A and a per cent sign %25.
func WorkflowRoom(tenantID, workflowID string) Room {
	return Room("workflow:" + escape.Replace(tenantID) + ":" + workflowID)
}

// ChatRoom is where the messages of a chat room go. It is the bare id.
func ChatRoom(chatRoomID string) Room { return Room(chatRoomID) }

// ChatStreamRoom is where answers go while they are being given.
func ChatStreamRoom(chatRoomID string) Room { return Room("chat_stream:" + chatRoomID) }

// WidgetRoom is where back ends reach every session that shows a widget.
func WidgetRoom(widgetID string) Room { return Room("widget:" + widgetID) }

// TenantRoom reaches every session of a tenant that asked for it.
func TenantRoom(tenantID string) Room { return Room("tenant:" + tenantID) }

// ListenerRoom is where the events of a listener go.
func ListenerRoom(id string) Room { return Room("listener:" + id) }

// ListenerTestRoom is where a listener's test events go.
func ListenerTestRoom(id string) Room { return Room("listener_test:" + id) }

// AppPageRoom is where listener events for a page of an app go.
func AppPageRoom(id string) Room { return Room("listener:app_page:" + id) }

// UserRoom is where what is for one user of a tenant goes. In its parts, and in
// those of the two that follow, a colon is written %3A and a per cent sign %25.
func UserRoom(tenantID, userID string) Room {
	return Room("user:" + escape.Replace(tenantID) + ":" + escape.Replace(userID))
}

// EntityRoom is where the status of an entity goes: of whatever a back end
// gives a type and an id.
func EntityRoom(tenantID, entityType, entityID string) Room {
	return Room("entity:" + escape.Replace(tenantID) + ":" + escape.Replace(entityType) + ":" + escape.Replace(entityID))
}

// AgentRoom is where the status of an agent goes.
func AgentRoom(tenantID, agentID string) Room {
	return Room("agent:" + escape.Replace(tenantID) + ":" + escape.Replace(agentID))
}

// The rooms of /monitor. An operator sees every log line; an administrator of
// a tenant sees the lines about that tenant and those about nobody.
const (
	LogRoomAll    Room = "log:all"
	LogRoomShared Room = "log:shared"
)

// LogRoomTenant is where log lines about one tenant go.
func LogRoomTenant(tenantID string) Room { return Room("log:tenant:" + tenantID) }
