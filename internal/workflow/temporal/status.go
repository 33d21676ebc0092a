package temporal

import (
	"time"

	"github.com/roomcast/roomcast/events"
)

// Status is how it stands with Temporal.
type Status struct {
	Up    bool
	Since time.Time // when that changed
	Error string    // why it is not up
}

// Counts are what an engine has done since it began.
type Counts struct {
	Ended map[events.RunStatus]int64 // runs of which it stored the end
	// Repeated are nodes that were begun again because nothing says how far
	// they had got when their server ended.
	Repeated int64
}
