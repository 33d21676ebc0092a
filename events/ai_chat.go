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
	// ReplyTo is the offset of the message that is answered.
	ReplyTo uint64 `json:"replyTo,omitempty"`
}

// EventName implements [Payload].
func (AIChatBotMessage) EventName() string { return "ai_chat_bot_message" }

// AIChatMemberMessage is what a user said in a room, for all who are in it.
type AIChatMemberMessage struct {
	ChatRoomID string `json:"chatRoomID"`
	UserID     string `json:"userID"`
	// SessionID is the public id of the session that said it, which has shown it
	// already; left out if it came from none.
	SessionID string `json:"sessionID,omitempty"`
	Text      string `json:"text"`
	Action    string `json:"action,omitempty"` // test, approve or reject
	At        Time   `json:"at"`
}

// EventName implements [Payload].
func (AIChatMemberMessage) EventName() string { return "ai_chat_member_message" }

// AIChatMemberTyping tells whether a user is about to say something.
type AIChatMemberTyping struct {
	ChatRoomID string `json:"chatRoomID"`
	UserID     string `json:"userID"`
	SessionID  string `json:"sessionID,omitempty"` // of who types
	Typing     bool   `json:"typing"`
}

// EventName implements [Payload].
func (AIChatMemberTyping) EventName() string { return "ai_chat_member_typing" }

// AIChatRoomUpdated tells what has become of a room.
type AIChatRoomUpdated struct {
	ChatRoomID string `json:"chatRoomID"`
	Title      string `json:"title,omitempty"`
	// Members are the users who take part, who began the conversation first;
	// left out if they are the same as before.
	Members []string `json:"members,omitempty"`
	// Deleted tells that there is no such room any more, Removed that the user
	// takes no part in it any more. The session has left it.
	Deleted bool `json:"deleted,omitempty"`
	Removed bool `json:"removed,omitempty"`
}

// EventName implements [Payload].
func (AIChatRoomUpdated) EventName() string { return "ai_chat_room_updated" }

// AIChatMessage is a message of a conversation, as its history has it.
type AIChatMessage struct {
	Type         string `json:"type"` // user or bot
	Text         string `json:"text"`
	Timestamp    Time   `json:"timestamp"`
	Offset       uint64 `json:"offset"`
	UserID       string `json:"userID,omitempty"`       // of users
	Action       string `json:"action,omitempty"`       // of users: test, approve or reject
	FinishReason string `json:"finishReason,omitempty"` // of answers, why they ended
}

// AIChatBotTyping tells whether the assistant is at an answer.
type AIChatBotTyping struct {
	ChatRoomID string `json:"chatRoomID"`
	Typing     bool   `json:"typing"`
}

// EventName implements [Payload].
func (AIChatBotTyping) EventName() string { return "ai_chat_bot_typing" }

// AIChatBotStreamStart tells that an answer begins.
type AIChatBotStreamStart struct {
	ChatRoomID string `json:"chatRoomID"`
	// ReplyTo is the offset of the message that is answered.
	ReplyTo uint64 `json:"replyTo"`
}

// EventName implements [Payload].
func (AIChatBotStreamStart) EventName() string { return "ai_chat_bot_stream_start" }

// AIChatBotStreamDelta adds to an answer. A client that comes in the middle
// gets all that there is in one.
type AIChatBotStreamDelta struct {
	ChatRoomID string `json:"chatRoomID"`
	ReplyTo    uint64 `json:"replyTo"`
	// At is where Text begins, in UTF-16 code units, what length is in
	// JavaScript: where the text before ends, or 0 if it is in place of that.
	At   int    `json:"at"`
	Text string `json:"text"`
}

// EventName implements [Payload].
func (AIChatBotStreamDelta) EventName() string { return "ai_chat_bot_stream_delta" }

// AIChatBotStreamEnd tells that an answer is complete, or will not be.
type AIChatBotStreamEnd struct {
	ChatRoomID   string     `json:"chatRoomID"`
	ReplyTo      uint64     `json:"replyTo"`
	Text         string     `json:"text"` // all of it
	FinishReason string     `json:"finishReason"`
	Model        string     `json:"model,omitempty"`
	Usage        *ChatUsage `json:"usage,omitempty"`
}

// EventName implements [Payload].
func (AIChatBotStreamEnd) EventName() string { return "ai_chat_bot_stream_end" }

// ChatUsage is what an answer took, in tokens.
type ChatUsage struct {
	Prompt     int `json:"promptTokens"`
	Completion int `json:"completionTokens"`
	// Estimated tells that the provider did not say.
	Estimated bool `json:"estimated,omitempty"`
}

// AIChatToolCall tells that the assistant uses a tool.
type AIChatToolCall struct {
	ChatRoomID string `json:"chatRoomID"`
	ReplyTo    uint64 `json:"replyTo"`
	ToolCallID string `json:"toolCallID"`
	Name       string `json:"name"`
	Arguments  JSON   `json:"arguments"`
}

// EventName implements [Payload].
func (AIChatToolCall) EventName() string { return "ai_chat_tool_call" }

// AIChatToolResult tells what came of it.
type AIChatToolResult struct {
	ChatRoomID string `json:"chatRoomID"`
	ReplyTo    uint64 `json:"replyTo"`
	ToolCallID string `json:"toolCallID"`
	OK         bool   `json:"ok"`
	Summary    string `json:"summary"`
}

// EventName implements [Payload].
func (AIChatToolResult) EventName() string { return "ai_chat_tool_result" }

// AIChatApprovalRequired asks the members of a room whether something is to be
// done. Nothing has been.
type AIChatApprovalRequired struct {
	ChatRoomID string `json:"chatRoomID"`
	ApprovalID string `json:"approvalID"`
	Tool       string `json:"tool"`
	Title      string `json:"title"`
	Arguments  JSON   `json:"arguments"`
	// Hash is of the tool and its arguments. A decision that names another is
	// refused.
	Hash      string `json:"hash"`
	ExpiresAt Time   `json:"expiresAt"`
}

// EventName implements [Payload].
func (AIChatApprovalRequired) EventName() string { return "ai_chat_approval_required" }

// AIChatApprovalResolved tells what was decided. Of what is approved
// [AIChatApprovalOutcome] tells what came of it.
type AIChatApprovalResolved struct {
	ChatRoomID string `json:"chatRoomID"`
	ApprovalID string `json:"approvalID"`
	Decision   string `json:"decision"` // approved, rejected, expired or invalid
	DecidedBy  string `json:"decidedBy,omitempty"`
	// Reason is why it is invalid.
	Reason string `json:"reason,omitempty"`
}

// EventName implements [Payload].
func (AIChatApprovalResolved) EventName() string { return "ai_chat_approval_resolved" }

// AIChatApprovalOutcome tells what came of what was approved.
type AIChatApprovalOutcome struct {
	ChatRoomID string `json:"chatRoomID"`
	ApprovalID string `json:"approvalID"`
	OK         bool   `json:"ok"`
	Outcome    string `json:"outcome"` // for people
	// InstanceID is the run that it began.
	InstanceID string `json:"instanceID,omitempty"`
}

// EventName implements [Payload].
func (AIChatApprovalOutcome) EventName() string { return "ai_chat_approval_outcome" }
