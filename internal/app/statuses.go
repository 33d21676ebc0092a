package app

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"strconv"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/accounts"
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
		p.tell(log, room, payload)
	}
}

// runWaits notifies who started a run that it waits for a person.
func (p *publisher) runWaits(u workflow.Update, log *slog.Logger) {
	asked, waits := u.Payload.(events.WorkflowDataCollectionRequest)
	if !waits || u.Run.StartedBy == "" {
		return
	}
	about, _ := json.Marshal(struct {
		WorkflowID          string `json:"workflowID,omitempty"`
		InstanceID          string `json:"instanceID"`
		NodeID              string `json:"nodeID"`
		CollectionRequestID string `json:"collectionRequestID"`
	}{u.Run.WorkflowID, u.Run.ID, asked.NodeID, asked.CollectionRequestID})
	p.tell(log, events.UserRoom(u.Run.Tenant, u.Run.StartedBy), events.Notification{
		UserID: u.Run.StartedBy, Message: cmp.Or(asked.CollectionConfig.Title, u.Run.Title+" waits for your input"), Level: "info", Data: about,
	})
}

// workflowSaved tells the devices of who has saved a workflow that there is a
// newer version.
func (p *publisher) workflowSaved(by *auth.Identity, w workflow.Workflow, log *slog.Logger) {
	p.tell(log, events.UserRoom(w.Tenant, by.User), events.SyncUpdate{
		Type: "workflow", EntityID: cmp.Or(w.ExternalID, w.ID), Version: w.UpdatedAt.UnixMicro(), UpdatedAt: events.Time{Time: w.UpdatedAt},
	})
}

// characterStatus tells what a character of the dialect action is doing.
func (p *publisher) characterStatus(c accounts.Account, status string, log *slog.Logger) {
	about, _ := json.Marshal(map[string]string{"name": c.Name})
	p.tell(log, events.AgentRoom(c.Tenant, c.ID), events.AgentStatus{AgentID: c.ID, Status: status, Data: about})
}

// tell publishes what the server says of itself: it is not numbered, and not
// kept.
func (p *publisher) tell(log *slog.Logger, room events.Room, payload events.Payload) {
	if err := p.Publish(room, cluster.Position{}, payload); err != nil {
		log.Error("event was not published", "event", payload.EventName(), "room", room, "error", err)
	}
}
