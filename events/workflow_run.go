package events

import (
	"fmt"
	"net/url"
)

// NodeStatus is how a node ended.
type NodeStatus string

// The statuses of a node. NodeRunning is not sent to clients: those written
// from the documentation take whatever is not a success for a failure.
const (
	NodeSuccess NodeStatus = "success"
	NodeFailed  NodeStatus = "failed"
)

// RunStatus is the status of a workflow run.
type RunStatus string

// The statuses of a run. Pending and running are never sent as an update.
const (
	RunPending   RunStatus = "PENDING"
	RunRunning   RunStatus = "RUNNING"
	RunCompleted RunStatus = "COMPLETED"
	RunFailed    RunStatus = "FAILED"
	RunCancelled RunStatus = "CANCELLED"
	RunStopped   RunStatus = "STOPPED"
)

// Terminal reports whether a run with this status is over.
func (s RunStatus) Terminal() bool { return s != RunPending && s != RunRunning }

// WorkflowRunStarted tells who is interested in a workflow that a run of it has
// begun; the room of the run has what happens in it.
type WorkflowRunStarted struct {
	WorkflowID string `json:"workflowID"`
	InstanceID string `json:"instanceID"`
	StartedAt  Time   `json:"startedAt"`
}

// EventName implements [Payload].
func (WorkflowRunStarted) EventName() string { return "workflow_run_started" }

// WorkflowRunEnded is WorkflowRunStarted for the end of a run.
type WorkflowRunEnded struct {
	WorkflowID string    `json:"workflowID"`
	InstanceID string    `json:"instanceID"`
	StartedAt  Time      `json:"startedAt"`
	Status     RunStatus `json:"status"`
}

// EventName implements [Payload].
func (WorkflowRunEnded) EventName() string { return "workflow_run_ended" }

// WorkflowNodeUpdate tells that a node of a run has ended.
type WorkflowNodeUpdate struct {
	InstanceID string     `json:"instanceID"`
	NodeID     string     `json:"nodeID"`
	Status     NodeStatus `json:"status"`
	Output     JSON       `json:"output"`
	Error      string     `json:"error,omitempty"`
	Duration   int64      `json:"duration,omitempty"` // in milliseconds
}

// EventName implements [Payload].
func (WorkflowNodeUpdate) EventName() string { return "workflow_node_update" }

// WorkflowStatusUpdate tells that a run is over.
type WorkflowStatusUpdate struct {
	InstanceID  string      `json:"instanceID"`
	Status      RunStatus   `json:"status"`
	ContextData JSON        `json:"contextData"` // null if ContextRef is set
	ContextRef  *ContextRef `json:"contextRef,omitempty"`
	Output      JSON        `json:"output,omitempty"`
	Error       string      `json:"error,omitempty"`
}

// EventName implements [Payload].
func (WorkflowStatusUpdate) EventName() string { return "workflow_status_update" }

// A ContextRef says where the variables of a run are, in an event that they
// are too large for.
type ContextRef struct {
	Offset uint64 `json:"offset"` // of the entry that they were so after
	Size   int    `json:"size"`   // about how many bytes they take as JSON
	Href   string `json:"href"`   // the path of the HTTP API that has them
}

// NewContextRef returns the reference to the variables of a run after an entry.
func NewContextRef(tenant, runID string, offset uint64, size int) *ContextRef {
	href := fmt.Sprintf("/api/v1/tenants/%s/workflows/instances/%s/context?offset=%d", url.PathEscape(tenant), runID, offset)
	return &ContextRef{Offset: offset, Size: size, Href: href}
}

// WorkflowDataCollectionRequest tells that a run waits for somebody's input.
type WorkflowDataCollectionRequest struct {
	InstanceID          string           `json:"instanceID"`
	NodeID              string           `json:"nodeID"`
	CollectionRequestID string           `json:"collectionRequestID"`
	CollectionType      string           `json:"collectionType"`
	CollectionConfig    CollectionConfig `json:"collectionConfig"`
}

// EventName implements [Payload].
func (WorkflowDataCollectionRequest) EventName() string { return "workflow_data_collection_request" }

// CollectionConfig describes the input that a run waits for.
type CollectionConfig struct {
	CollectionType string `json:"collectionType"`
	Title          string `json:"title,omitempty"`
	Description    string `json:"description,omitempty"`
	FormSchema     JSON   `json:"formSchema,omitempty"`   // a JSON Schema
	FormUISchema   JSON   `json:"formUischema,omitempty"` // how to show it
	OutputVariable string `json:"outputVariable,omitempty"`
	ExpiryMinutes  int    `json:"expiryMinutes"` // 0 is never
}
