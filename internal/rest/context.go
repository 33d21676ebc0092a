package rest

import (
	"encoding/json"
	"strconv"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// contextBody is the variables of a run after an entry.
type contextBody struct {
	InstanceID  string          `json:"instanceID"`
	Offset      uint64          `json:"offset"` // of the entry
	ContextData json.RawMessage `json:"contextData"`
}

// runContext returns the variables of a run as they are or, with offset, as
// they were after that entry. The contextRef of events leads here.
func (a *API) runContext(r *request) (any, error) {
	run, err := a.run(r, auth.ReadRuns)
	if err != nil {
		return nil, err
	}
	var offset uint64
	if text := r.URL.Query().Get("offset"); text != "" {
		offset, err = strconv.ParseUint(text, 10, 64)
		if err != nil || offset == 0 {
			return nil, events.FieldErrorf("offset", "is not the number of an entry, which are 1, 2, 3 and so on")
		}
	}
	variables, at, err := a.opts.Workflows.ContextAt(r.Context(), run, offset)
	if err != nil {
		return nil, err
	}
	return contextBody{run.ID, at, variables.JSON()}, nil
}
