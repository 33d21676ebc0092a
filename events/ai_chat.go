package events

// AIChatRoomID tells a session which chat room it is in.
type AIChatRoomID struct {
	ChatRoomID string `json:"chatRoomID"`
}

// EventName implements [Payload].
func (AIChatRoomID) EventName() string { return "ai_chat_room_id" }

// AIChatBotMessage is the answer to a user's message. There is exactly one
// for each message.
type AIChatBotMessage struct {
	Text       string `json:"text"`
	ChatRoomID string `json:"chatRoomID,omitempty"`
}

// EventName implements [Payload].
func (AIChatBotMessage) EventName() string { return "ai_chat_bot_message" }
