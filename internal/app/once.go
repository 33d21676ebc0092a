package app

import (
	"time"

	"github.com/roomcast/roomcast/events"
)

// onceLease is after what time whoever handles a request is taken for dead:
// well after the deadline of a handler.
func onceLease(handlerTimeout time.Duration) time.Duration { return 2*handlerTimeout + 2*time.Second }

// changedNothing reports whether an error refuses a request for what it says or
// who sent it, before anything has happened.
func changedNothing(err error) bool {
	e, meant := events.Public(err)
	if !meant {
		return false
	}
	switch e.Code {
	case events.CodeValidation, events.CodeInvalidRequest, events.CodeNotFound, events.CodePermissionDenied, events.CodeTooLarge:
		return true
	}
	return false
}
