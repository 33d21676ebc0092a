package root

import (
	"context"
	"encoding/json"
	"maps"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/bridge"
	"github.com/roomcast/roomcast/namespaces"
)

// keeper keeps what the namespace knows of a session, besides the rooms that
// it is in, while its client is away.
type keeper struct {
	followed *followed
	rooms    *runRooms
	aiChat   *aiChat
	widgets  *bridge.Service
}

// savedState is what it keeps.
type savedState struct {
	Followed map[events.Room]uint64   `json:"followed,omitempty"`
	Runs     map[string]savedRunPlace `json:"runs,omitempty"`
	Chats    []events.Room            `json:"chats,omitempty"`
	Widgets  []bridge.Bound           `json:"widgets,omitempty"`
}

type savedRunPlace struct {
	Joined  bool `json:"joined,omitempty"`
	Widgets int  `json:"widgets,omitempty"`
}

// save returns what is to be kept of a session.
func (k keeper) save(s namespaces.Session) json.RawMessage {
	raw, err := json.Marshal(savedState{
		Followed: k.followed.save(s),
		Runs:     k.rooms.save(s),
		Chats:    k.aiChat.rooms(s),
		Widgets:  k.widgets.Save(widgetSession{s, k.rooms}),
	})
	if err != nil {
		return nil // it cannot happen: all of it is numbers and texts
	}
	return raw
}

// restore takes up what save returned, for a session that is in the same rooms.
func (k keeper) restore(ctx context.Context, s namespaces.Session, state json.RawMessage) {
	var saved savedState
	json.Unmarshal(state, &saved) // written by save
	k.followed.restore(s, saved.Followed)
	k.rooms.restore(s, saved.Runs)
	k.aiChat.restore(ctx, s, saved.Chats)
	k.widgets.Restore(ctx, widgetSession{s, k.rooms}, saved.Widgets)
}

func (f *followed) save(s namespaces.Session) map[events.Room]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.from[s])
}

func (f *followed) restore(s namespaces.Session, saved map[events.Room]uint64) {
	for room, from := range saved {
		f.set(s, room, from)
	}
}

func (r *runRooms) save(s namespaces.Session) map[string]savedRunPlace {
	r.mu.Lock()
	defer r.mu.Unlock()
	saved := make(map[string]savedRunPlace, len(r.places[s]))
	for runID, p := range r.places[s] {
		saved[runID] = savedRunPlace{p.joined, p.widgets}
	}
	return saved
}

func (r *runRooms) restore(s namespaces.Session, saved map[string]savedRunPlace) {
	for runID, place := range saved {
		p := r.place(s, runID)
		p.joined, p.widgets = place.Joined, place.Widgets
	}
}

// restore takes up the conversations that a session is in. Its user may have been
// removed from one after that was asked, and before the session was known here.
func (a *aiChat) restore(ctx context.Context, s namespaces.Session, saved []events.Room) {
	for _, room := range saved {
		a.remember(s, room)
		if err := a.mayStay(ctx, s, string(room)); err != nil {
			s.Emit(events.AIChatRoomUpdated{ChatRoomID: string(room), Removed: true})
		}
	}
}
