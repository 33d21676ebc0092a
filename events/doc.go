// Package events is everything the server says: the names of its events,
// their payloads, the rooms they go to and the codes of its errors. Each file
// is one feature. The shapes are those of asyncapi/socket-events.yaml, which a
// conformance test holds against this package.
package events

import "encoding/json"

// A Payload is the single argument of an event that the server emits.
type Payload interface {
	// EventName is the name of the event that the payload belongs to.
	EventName() string
}

// JSON is a value that the server passes on without looking into it.
type JSON = json.RawMessage

// Catalogue returns one zero value of every payload, by namespace.
func Catalogue() map[string][]Payload {
	return map[string][]Payload{
		"/": {
			AIChatRoomID{},
			AIChatBotMessage{},
			AIChatMemberMessage{},
			AIChatMemberTyping{},
			AIChatRoomUpdated{},
			AIChatBotTyping{},
			AIChatBotStreamStart{},
			AIChatBotStreamDelta{},
			AIChatBotStreamEnd{},
			AIChatToolCall{},
			AIChatToolResult{},
			AIChatApprovalRequired{},
			AIChatApprovalResolved{},
			AIChatApprovalOutcome{},
			WorkflowRunStarted{},
			WorkflowRunEnded{},
			WorkflowNodeUpdate{},
			WorkflowStatusUpdate{},
			WorkflowDataCollectionRequest{},
			WidgetWorkflowConnected{},
			WidgetContextUpdate{},
			WidgetWorkflowStatus{},
			WidgetWorkflowError{},
			WidgetInputReceived{},
			WidgetWorkflowDisconnected{},
			ListenerEvent{},
			Notification{},
			StatusUpdate{},
			SyncUpdate{},
			AgentStatus{},
			Gap{},
			AuthExpiring{},
			AuthEnded{},
			Failure{},
		},
		"/monitor": {Log{}, Stats{}, AuthExpiring{}, AuthEnded{}, Failure{}},
	}
}
