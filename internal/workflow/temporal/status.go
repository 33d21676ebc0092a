package temporal

import "time"

// Status is how it stands with Temporal.
type Status struct {
	Up    bool
	Since time.Time // when that changed
	Error string    // why it is not up
}
