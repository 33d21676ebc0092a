package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/external"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

const (
	externalRuns  = "/api/v1/tenants/{tenant}/runs"
	reportPattern = "POST " + externalRuns + "/{id}/events"
)

func (a *API) externalRoutes() {
	a.handle("POST "+externalRuns, a.announce)
	a.handle(reportPattern, a.report)
	a.handle("GET "+externalRuns+"/{id}/events", a.entries)
}

// announce makes a run that somebody carries on elsewhere.
func (a *API) announce(r *request) (any, error) {
	var body struct {
		InstanceID  string         `json:"instanceID"`
		WorkflowID  string         `json:"workflowID"`
		Title       string         `json:"title"`
		InputValues map[string]any `json:"inputValues"`
		Nodes       []graph.Node   `json:"nodes"`
		Edges       []graph.Edge   `json:"edges"`
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	an := workflow.Announcement{ID: body.InstanceID, WorkflowID: body.WorkflowID, Title: body.Title, Input: body.InputValues}
	switch {
	case body.Nodes != nil:
		an.Definition = &graph.Definition{Nodes: body.Nodes, Edges: body.Edges}
	case body.Edges != nil:
		return nil, events.FieldErrorf("edges", "is given without nodes")
	}
	run, err := a.opts.Workflows.Announce(r.Context(), r.id, r.tenant(), an)
	return created{map[string]any{"instanceID": run.ID}}, err
}

// report takes what has happened in such a run. Its sequences make it happen
// once.
func (a *API) report(r *request) (any, error) {
	run, err := a.opts.Workflows.Reported(r.Context(), r.id, r.tenant(), r.PathValue("id"))
	if err != nil { // before anything large is read
		return nil, err
	}
	r.max = a.opts.MaxPublish
	var body struct {
		Events []json.RawMessage `json:"events"`
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	list := make([]external.Event, len(body.Events))
	for i, raw := range body.Events {
		if err := decodeEvent(raw, &list[i]); err != nil {
			return nil, within(fmt.Sprintf("events[%d]", i), err)
		}
	}
	return a.opts.External.Report(r.Context(), run, list)
}

// decodeEvent reads one event of a report.
func decodeEvent(raw json.RawMessage, ev *external.Event) error {
	if !utf8.Valid(raw) {
		return events.FieldErrorf("body", "is not UTF-8")
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	if err := d.Decode(ev); err != nil {
		return bodyError(err)
	}
	return nil
}

// within makes a field that an error names one of something.
func within(at string, err error) error {
	var e *events.Error
	if !errors.As(err, &e) {
		return err
	}
	path := at
	if e.Field != "body" {
		path += "." + e.Field
	}
	return events.FieldErrorf(path, "%s", strings.TrimPrefix(e.Message, e.Field+": "))
}

const (
	maxEntries = 1000
	maxWait    = time.Minute
)

// entries answers with what is in the log of such a run after a number, and
// waits for something to be there.
func (a *API) entries(r *request) (any, error) {
	run, err := a.opts.Workflows.Reported(r.Context(), r.id, r.tenant(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	after, wait := uint64(0), time.Duration(0)
	if text := r.URL.Query().Get("after"); text != "" {
		if after, err = strconv.ParseUint(text, 10, 63); err != nil {
			return nil, events.FieldErrorf("after", "is not the number of an entry")
		}
	}
	if text := r.URL.Query().Get("wait"); text != "" {
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 || wait > maxWait {
			return nil, events.FieldErrorf("wait", "is not a time from 0s to %v, such as 30s", maxWait)
		}
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(a.stopping, cancel)()
	log, err := a.opts.Workflows.Entries(ctx, run, after, wait)
	if err != nil {
		return nil, err
	}
	if len(log) > maxEntries {
		log = log[:maxEntries]
	}
	if log == nil {
		log = []interpreter.Entry{}
	}
	if n := len(log); n > 0 {
		after = log[n-1].Seq
	}
	return map[string]any{"entries": log, "next": after}, nil
}

// expected is the sequence that an error says comes next, 0 if it says nothing
// of the kind.
func expected(err error) uint64 {
	var gap *external.Gap
	if errors.As(err, &gap) {
		return gap.Expected
	}
	return 0
}

// Stop answers requests that wait for something to happen.
func (a *API) Stop() { a.stop() }
