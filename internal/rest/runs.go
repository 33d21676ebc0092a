package rest

import (
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

func (a *API) runRoutes() {
	const base = "/api/v1/tenants/{tenant}/workflows"
	a.handle("GET "+base+"/instances", a.listRuns)
	a.handle("GET "+base+"/instances/{id}", a.getRun)
	a.handle("GET "+base+"/instances/{id}/logs", a.getLog)
	a.handle("GET "+base+"/instances/{id}/definition", a.getRunDefinition)
	a.handle("GET "+base+"/instances/{id}/context", a.runContext)
	a.handle("DELETE "+base+"/instances/{id}/stop", a.stopRun)
	a.handle("POST "+base+"/instances/{id}/cancel", a.cancelRun)
	a.handle("POST "+base+"/instances/{id}/widget", a.registerWidget)
	a.handle("POST "+base+"/data-collection", a.submit)
}

// runBody is a run as clients get it.
type runBody struct {
	InstanceID    string           `json:"instanceID"`
	WorkflowID    string           `json:"workflowID,omitempty"`
	WorkflowTitle string           `json:"workflowTitle"`
	Status        events.RunStatus `json:"status"`
	IsTest        bool             `json:"isTest"`
	StartedBy     string           `json:"startedBy"`
	StartedAt     time.Time        `json:"startedAt"`
	CompletedAt   *time.Time       `json:"completedAt"`
	Error         string           `json:"error,omitempty"`
}

func newRunBody(r workflow.Run) runBody {
	b := runBody{
		InstanceID: r.ID, WorkflowID: r.WorkflowID, WorkflowTitle: r.Title, Status: r.Status, IsTest: r.WorkflowID == "" && r.Engine != workflow.External,
		StartedBy: r.StartedBy, StartedAt: r.StartedAt, Error: r.Error,
	}
	if !r.EndedAt.IsZero() {
		b.CompletedAt = &r.EndedAt
	}
	return b
}

const (
	defaultPage = 50
	maxPage     = 500
)

func (a *API) listRuns(r *request) (any, error) {
	limit, err := r.limit(maxPage)
	if err != nil {
		return nil, err
	}
	runs, err := a.opts.Workflows.Runs(r.Context(), r.id, r.tenant(), workflow.IDOf(r.tenant(), r.URL.Query().Get("workflowID")), limit)
	list := make([]runBody, len(runs))
	for i := range runs {
		list[i] = newRunBody(runs[i])
	}
	return map[string]any{"instances": list}, err
}

// run returns the run in the path, if it is the tenant's.
func (a *API) run(r *request, action auth.Action) (workflow.Run, error) {
	run, err := a.opts.Workflows.Run(r.Context(), r.id, action, r.PathValue("id"))
	if err == nil && run.Tenant != r.tenant() {
		return workflow.Run{}, events.NotFound("run", r.PathValue("id"))
	}
	return run, err
}

func (a *API) getRun(r *request) (any, error) {
	run, err := a.run(r, auth.ReadRuns)
	if err != nil {
		return nil, err
	}
	state, err := a.opts.Workflows.State(r.Context(), run)
	if err != nil {
		return nil, err
	}
	pending := state.Pending
	if pending == nil {
		pending = []events.WorkflowDataCollectionRequest{}
	}
	return struct {
		runBody
		ContextData    map[string]any                         `json:"contextData"`
		Logs           []interpreter.Entry                    `json:"logs"`
		DataCollection []events.WorkflowDataCollectionRequest `json:"pendingDataCollection"`
	}{newRunBody(state.Run), state.Context, state.Log, pending}, nil
}

func (a *API) stopRun(r *request) (any, error) {
	run, err := a.run(r, auth.StopRuns)
	if err != nil {
		return nil, err
	}
	return map[string]any{"instanceID": run.ID, "status": events.RunStopped}, a.opts.Workflows.Stop(r.Context(), r.id, run)
}

func (a *API) cancelRun(r *request) (any, error) {
	run, err := a.run(r, auth.StopRuns)
	if err != nil {
		return nil, err
	}
	return map[string]any{"instanceID": run.ID, "status": events.RunCancelled}, a.opts.Workflows.Cancel(r.Context(), r.id, run)
}

// registerWidget gives a widget to the tenant of a run, making its id unless
// the client brings one.
func (a *API) registerWidget(r *request) (any, error) {
	run, err := a.run(r, auth.UseWidgets)
	if err != nil {
		return nil, err
	}
	var body struct {
		WidgetID string `json:"widgetID"`
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	if body.WidgetID == "" {
		body.WidgetID = once.ID(r.Context(), "widget")
	}
	if uuid.Validate(body.WidgetID) != nil || len(body.WidgetID) != 36 {
		return nil, events.FieldErrorf("widgetID", "is not a UUID")
	}
	owner, err := a.opts.Widgets.ClaimWidget(r.Context(), body.WidgetID, run.Tenant, r.id.User)
	if err == nil && owner != run.Tenant {
		return nil, events.NotFound("widget", body.WidgetID)
	}
	return created{map[string]any{"widgetID": body.WidgetID, "instanceID": run.ID}}, err
}

// submit gives a run the input that it waits for.
func (a *API) submit(r *request) (any, error) {
	var body struct {
		CollectionRequestID string `json:"collectionRequestID"`
		SubmittedData       any    `json:"submittedData"`
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	if body.CollectionRequestID == "" {
		return nil, events.FieldErrorf("collectionRequestID", "is missing")
	}
	run, err := a.opts.Workflows.RunOfRequest(r.Context(), r.id, r.tenant(), body.CollectionRequestID)
	if err != nil {
		return nil, err
	}
	err = a.opts.Workflows.Submit(r.Context(), r.id, run, workflow.Input{RequestID: body.CollectionRequestID, Data: body.SubmittedData, Field: "submittedData"})
	return map[string]any{"instanceID": run.ID, "success": true}, err
}
