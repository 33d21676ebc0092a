package rest

import (
	"strconv"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// getLog returns what has happened in a run after an entry, for those who keep
// up with it.
func (a *API) getLog(r *request) (any, error) {
	run, err := a.run(r, auth.ReadRuns)
	if err != nil {
		return nil, err
	}
	after := uint64(0)
	if text := r.URL.Query().Get("after"); text != "" {
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, events.FieldErrorf("after", "is not the number of an entry")
		}
	}
	log, err := a.opts.Workflows.Log(r.Context(), run, after)
	if log == nil {
		log = []interpreter.Entry{}
	}
	return map[string]any{"instanceID": run.ID, "logs": log}, err
}

// getRunDefinition returns the definition that a run began with, whatever has
// become of its workflow.
func (a *API) getRunDefinition(r *request) (any, error) {
	run, err := a.run(r, auth.ReadRuns)
	return map[string]any{"title": run.Title, "definition": run.Plan}, err
}
