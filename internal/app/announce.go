package app

import (
	"log/slog"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
)

// runAnnounced tells the room of a run's workflow that the run has begun, or is
// over. It is told no more, and without numbers: who wants to know what happens
// in a run follows its room from the first entry, and misses nothing. Whoever
// has not heard of the beginning hears of the end.
func (p *publisher) runAnnounced(u workflow.Update, log *slog.Logger) {
	if u.Run.WorkflowID == "" {
		return
	}
	room := events.WorkflowRoom(u.Run.Tenant, u.Run.WorkflowID)
	started := events.Time{Time: u.Run.StartedAt}
	if u.Prev == 0 {
		p.tell(log, room, events.WorkflowRunStarted{WorkflowID: u.Run.WorkflowID, InstanceID: u.Run.ID, StartedAt: started})
	}
	if u.Status != "" {
		p.tell(log, room, events.WorkflowRunEnded{WorkflowID: u.Run.WorkflowID, InstanceID: u.Run.ID, StartedAt: started, Status: u.Status})
	}
}
