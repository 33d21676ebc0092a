package events

// AuthExpiring tells a session that its token ends soon. The client gets
// another and sends it with auth_refresh.
type AuthExpiring struct {
	ExpiresAt Time `json:"expiresAt"`
	ExpiresIn int  `json:"expiresIn"` // seconds, for clients whose clock is wrong
}

// EventName implements [Payload].
func (AuthExpiring) EventName() string { return "auth_expiring" }

// AuthEnded tells a session why the server ends it. It is the last event.
type AuthEnded struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// EventName implements [Payload].
func (AuthEnded) EventName() string { return "auth_ended" }
