package events

// Notification is something that a user is to know.
type Notification struct {
	UserID  string `json:"userID,omitempty"` // whom it is for; "" is all who hear the room
	Message string `json:"message"`
	Level   string `json:"level,omitempty"` // info, success, warning or error
	Data    JSON   `json:"data,omitempty"`
}

// EventName implements [Payload].
func (Notification) EventName() string { return "notification" }

// StatusUpdate tells the status of an entity: of whatever has one.
type StatusUpdate struct {
	EntityType string `json:"entityType"`
	EntityID   string `json:"entityID"`
	Status     string `json:"status"`
	OwnerID    string `json:"ownerID,omitempty"` // the user who hears of it anyway
	// EventID is the same in all rooms that the update goes to.
	EventID string `json:"eventID,omitempty"`
	Data    JSON   `json:"data,omitempty"`
}

// EventName implements [Payload].
func (StatusUpdate) EventName() string { return "status_update" }

// RunEntity is the entity type of workflow runs.
const RunEntity = "workflow_run"

// SyncUpdate tells a user's other devices that there is a newer version of
// something that they keep.
type SyncUpdate struct {
	Type          string `json:"type"` // workflow, agent or settings
	EntityID      string `json:"entityID"`
	Version       int64  `json:"version"`
	UpdatedAt     Time   `json:"updatedAt"`
	EncryptedData string `json:"encryptedData,omitempty"` // as the device wrote it: nobody here can read it
}

// EventName implements [Payload].
func (SyncUpdate) EventName() string { return "sync_update" }

// AgentStatus tells what an agent is doing.
type AgentStatus struct {
	AgentID string `json:"agentID"`
	Status  string `json:"status"`
	Data    JSON   `json:"data,omitempty"`
}

// EventName implements [Payload].
func (AgentStatus) EventName() string { return "agent_status" }
