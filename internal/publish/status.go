package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
)

// about reports whether a message that names whom or what it is about goes to
// the room of that.
func about(e *Envelope) error {
	a, ok := events.ParseAddress(e.Room)
	if !ok {
		return nil
	}
	var named struct{ UserID, EntityType, EntityID, AgentID string }
	json.Unmarshal(e.Data, &named) // checked before
	differs := func(field, got, want string) error {
		if got == want {
			return nil
		}
		return events.FieldErrorf("data."+field, "%q is not what the room %s is of", got, e.Room)
	}
	switch {
	case e.Event == "notification" && a.Kind == "user" && named.UserID != "":
		return differs("userID", named.UserID, a.ID)
	case e.Event == "agent_status" && a.Kind == "agent":
		return differs("agentID", named.AgentID, a.ID)
	case e.Event == "status_update" && a.Kind == "entity":
		if err := differs("entityType", named.EntityType, a.Type); err != nil {
			return err
		}
		return differs("entityID", named.EntityID, a.ID)
	}
	return nil
}

// copies are what goes to the owners of entities besides.
type copies struct {
	list []Envelope
	of   []int // the message that each is a copy of
}

// add adds the copy of a checked message that its entity's owner gets, if it
// has one. Both get the same event id, so that who hears both can tell.
func (c *copies) add(ctx context.Context, p *publishing, e *Envelope, i int) error {
	a, ok := events.ParseAddress(e.Room)
	if !ok || a.Kind != "entity" || e.Event != "status_update" {
		return nil
	}
	var u events.StatusUpdate
	if json.Unmarshal(e.Data, &u) != nil || u.OwnerID == "" {
		return nil
	}
	room := events.UserRoom(a.Tenant, u.OwnerID)
	if p.owner(ctx, room).err != nil {
		return events.FieldErrorf("data.ownerID", "%q is not the id of a user", u.OwnerID)
	}
	if u.EventID == "" {
		e.Data = p.identified(e)
	}
	copied := *e
	copied.Room = room
	if e.ID != "" {
		copied.ID = "owner " + digest(e.ID)
	}
	c.list, c.of = append(c.list, copied), append(c.of, i)
	return nil
}

// identified returns the data of a message with an event id: the same for each
// repeat of a message that has an id itself.
func (p *publishing) identified(e *Envelope) json.RawMessage {
	id := uuid.NewString()
	if e.ID != "" {
		id = digest(p.tenant, p.user, string(e.Room), e.ID)[:32]
	}
	var fields map[string]json.RawMessage
	json.Unmarshal(e.Data, &fields)
	fields["eventID"], _ = json.Marshal(id)
	data, _ := json.Marshal(fields)
	return data
}

func digest(parts ...string) string {
	all, _ := json.Marshal(parts)
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:])
}

// settle makes the result of a message that of its copy, if only that failed:
// who repeats it publishes what is missing.
func (c *copies) settle(results []Result) []Result {
	n := len(results) - len(c.list)
	for k, i := range c.of {
		if copied := results[n+k]; copied.Error != nil && results[i].OK {
			results[i] = Result{Error: copied.Error}
		}
	}
	return results[:n]
}
