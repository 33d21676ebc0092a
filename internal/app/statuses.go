package app

import (
	"encoding/json"
	"log/slog"
	"strconv"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/workflow"
)

// runStatus tells whoever is interested that a run is over: who started it,
// wherever they are, and who is in the room of the run as an entity. It is not
// kept: the room of the run has it, with its number. Runs within runs are their
// parents' matter.
func (p *publisher) runStatus(u workflow.Update, log *slog.Logger) {
	end, over := u.Payload.(events.WorkflowStatusUpdate)
	if !over {
		return
	}
	about, _ := json.Marshal(struct {
		WorkflowID string `json:"workflowID,omitempty"`
		Title      string `json:"title,omitempty"`
		Error      string `json:"error,omitempty"`
	}{u.Run.WorkflowID, u.Run.Title, end.Error})
	payload := events.StatusUpdate{
		EntityType: events.RunEntity, EntityID: u.Run.ID, Status: string(end.Status), OwnerID: u.Run.StartedBy,
		EventID: u.Run.ID + "/" + strconv.FormatUint(u.Offset, 10), Data: about,
	}
	rooms := []events.Room{events.EntityRoom(u.Run.Tenant, events.RunEntity, u.Run.ID)}
	if u.Run.StartedBy != "" && u.Run.Parent == "" {
		rooms = append(rooms, events.UserRoom(u.Run.Tenant, u.Run.StartedBy))
	}
	for _, room := range rooms {
		if err := p.Publish(room, cluster.Position{}, payload); err != nil {
			log.Error("status of run was not published", "run", u.Run.ID, "error", err)
		}
	}
}
