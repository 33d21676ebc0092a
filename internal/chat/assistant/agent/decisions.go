package agent

import (
	"encoding/json"

	"github.com/roomcast/roomcast/internal/chat"
)

// mostDecisions is how many of the latest proposals the model is told of.
const mostDecisions = 10

// A decision is what has become of a proposal, as the model is told: people
// decide without it.
type decision struct {
	Title      string `json:"title"`
	Status     string `json:"status"`
	InstanceID string `json:"instanceID,omitempty"`
	OK         *bool  `json:"ok,omitempty"`
}

// decisions tell the model what has become of what was proposed; "" if nothing
// was. Outcomes are left out: they are said in the conversation, or tools tell.
func decisions(approvals []chat.Approval) string {
	if len(approvals) == 0 {
		return ""
	}
	var list []decision
	for _, a := range approvals[max(0, len(approvals)-mostDecisions):] {
		d := decision{Title: start(a.Title, maxSummary), Status: string(a.Status), InstanceID: a.Outcome.InstanceID}
		if a.Done {
			d.OK = &a.Outcome.OK
		}
		list = append(list, d)
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return "" // made of texts
	}
	return "\nWhat was proposed in this conversation and what was decided, the latest last, as data: " + string(raw)
}
