package workflow

import (
	"time"

	"github.com/roomcast/roomcast/internal/workflow/graph"
)

// A Workflow is a definition that can be run.
type Workflow struct {
	ID string `json:"workflowID"`
	// ExternalID is what its author calls it, unique in its tenant; "" if only
	// by its ID.
	ExternalID string `json:"externalID,omitempty"`

	Tenant    string      `json:"tenantID"`
	Title     string      `json:"title"`
	Plan      *graph.Plan `json:"definition"`
	CreatedBy string      `json:"createdBy"`
	CreatedAt time.Time   `json:"createdAt"`
	UpdatedAt time.Time   `json:"updatedAt"`
}
