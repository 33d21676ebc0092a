package rawws

import (
	"encoding/json"
	"time"

	"github.com/roomcast/roomcast/events"
)

// What the server says, as the data of frames.
type (
	serviceNotification struct {
		Message string      `json:"message"`
		Level   string      `json:"level"`
		Data    events.JSON `json:"data,omitempty"`
	}
	serviceChat struct {
		ConversationID string `json:"conversation_id"`
		SenderID       string `json:"sender_id"`
		Content        string `json:"content"`
	}
	serviceStatus struct {
		EntityType string `json:"entity_type"`
		EntityID   string `json:"entity_id"`
		Status     string `json:"status"`
		Data       any    `json:"data,omitempty"`
	}
	serviceListener struct {
		Channel string      `json:"channel"`
		Data    events.JSON `json:"data"`
		Mode    string      `json:"mode"`
		Limit   int         `json:"limit"`
	}
)

// What the data of the status of a run tells besides.
type (
	serviceNode struct {
		NodeID string      `json:"node_id"`
		Status string      `json:"node_status"`
		Output events.JSON `json:"output"`
		Error  string      `json:"error,omitempty"`
	}
	serviceInput struct {
		NodeID      string      `json:"node_id"`
		RequestID   string      `json:"collection_request_id"`
		Title       string      `json:"title,omitempty"`
		Description string      `json:"description,omitempty"`
		Form        events.JSON `json:"form_schema,omitempty"`
	}
	serviceEnd struct {
		Output events.JSON `json:"output,omitempty"`
		Error  string      `json:"error,omitempty"`
	}
)

// assistant is who says the answers.
const assistant = "assistant"

// Hear implements [Speaker].
func (s *service) Hear(n Notice) {
	switch n.Event {
	case "ai_chat_bot_message":
		if p := decode[events.AIChatBotMessage](n); n.Offset > 0 { // else a refusal, which is told as one
			s.tellChat(n, p.ChatRoomID, assistant, p.Text)
		}
	case "ai_chat_member_message":
		if p := decode[events.AIChatMemberMessage](n); p.SessionID != s.conn.Session().ID() {
			s.tellChat(n, p.ChatRoomID, p.UserID, p.Text)
		}
	case "ai_chat_room_updated":
		s.closed(decode[events.AIChatRoomUpdated](n))
	case "status_update":
		if s.news(decode[events.StatusUpdate](n)) {
			s.tell(n)
		}
	case "auth_ended":
		s.Refuse(frame{}, events.Errorf(events.CodeTokenExpired, "%s", decode[events.AuthEnded](n).Message))
	case "gap":
		s.Refuse(frame{}, events.Errorf(events.CodeInternal, "some of what was published in %s is lost", s.channelOf(decode[events.Gap](n).Room)))
	default:
		s.tell(n)
	}
}

// tell says what all clients are told alike.
func (s *service) tell(n Notice) {
	s.conn.SendFrame(n.Frame(Service, func() []byte { return renderService(n) }))
}

// tellChat says something of a conversation, as the client calls it.
func (s *service) tellChat(n Notice, room, sender, text string) {
	name, in := s.in.name(room)
	if !in {
		return
	}
	key := struct {
		dialect Name
		name    string
	}{Service, name}
	s.conn.SendFrame(n.Frame(key, func() []byte {
		return serviceText("chat_message", serviceChat{name, sender, text}, time.Now())
	}))
}

// closed tells of a conversation that is not there any more for the client.
func (s *service) closed(p events.AIChatRoomUpdated) {
	if !p.Deleted && !p.Removed {
		return
	}
	if name, in := s.in.close(p.ChatRoomID); in {
		s.say("unsubscribed", map[string]string{"channel": "conversation:" + name})
	}
}

// news reports whether a status is to be told: one may come by several rooms,
// and of runs that the client is subscribed to their own rooms tell.
func (s *service) news(p events.StatusUpdate) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !(p.EntityType == events.RunEntity && s.runs[p.EntityID]) && (p.EventID == "" || s.heard.add(p.EventID))
}

func serviceText(kind string, data any, at time.Time) []byte {
	text, _ := encode(serviceFrame{kind, data, clock(at)})
	return text
}

// renderService puts an event into the words of the dialect, nil if it has none.
func renderService(n Notice) []byte {
	status := func(kind, id, status string, data any) []byte {
		return serviceText("status_update", serviceStatus{kind, id, status, data}, time.Now())
	}
	switch n.Event {
	case "notification":
		p := decode[events.Notification](n)
		if p.Level == "" {
			p.Level = "info"
		}
		return serviceText(n.Event, serviceNotification{p.Message, p.Level, p.Data}, time.Now())
	case "status_update":
		p := decode[events.StatusUpdate](n)
		return status(p.EntityType, p.EntityID, p.Status, some(p.Data))
	case "agent_status":
		p := decode[events.AgentStatus](n)
		return status("agent", p.AgentID, p.Status, some(p.Data))
	case "listener_event":
		p := decode[events.ListenerEvent](n)
		return serviceText(n.Event, serviceListener{p.ChannelName, p.Data, p.Mode, p.Limit}, time.UnixMilli(p.Timestamp))
	case "workflow_node_update":
		p := decode[events.WorkflowNodeUpdate](n)
		return status(events.RunEntity, p.InstanceID, string(events.RunRunning), serviceNode{p.NodeID, string(p.Status), p.Output, p.Error})
	case "workflow_data_collection_request":
		p := decode[events.WorkflowDataCollectionRequest](n)
		c := p.CollectionConfig
		return status(events.RunEntity, p.InstanceID, string(events.RunRunning), map[string]any{
			"waiting_for": serviceInput{p.NodeID, p.CollectionRequestID, c.Title, c.Description, c.FormSchema},
		})
	case "workflow_status_update":
		p := decode[events.WorkflowStatusUpdate](n)
		return status(events.RunEntity, p.InstanceID, string(p.Status), serviceEnd{p.Output, p.Error})
	}
	return nil
}

// some is JSON that may be left out.
func some(data json.RawMessage) any {
	if data == nil {
		return nil
	}
	return data
}

// channelOf returns what the client calls a room.
func (s *service) channelOf(room events.Room) string {
	if name, in := s.in.name(string(room)); in {
		return "conversation:" + name
	}
	a, ok := events.ParseAddress(room)
	switch {
	case ok && a.Kind == "entity":
		return a.Type + ":" + a.ID
	case ok:
		return a.Kind + ":" + a.ID
	}
	return string(room)
}
