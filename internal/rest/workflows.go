package rest

import (
	"slices"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/graph"
)

func (a *API) workflowRoutes() {
	const base = "/api/v1/tenants/{tenant}/workflows"
	a.handle("GET "+base, a.listWorkflows)
	a.handle("POST "+base, a.createWorkflow)
	a.handle("GET "+base+"/{id}", a.getWorkflow)
	a.handle("PUT "+base+"/{id}", a.putWorkflow)
	a.handle("PATCH "+base+"/{id}", a.changeWorkflow)
	a.handle("DELETE "+base+"/{id}", a.deleteWorkflow)
	a.handle("POST "+base+"/{id}/clone", a.cloneWorkflow)
	a.handle("POST "+base+"/{id}/export", a.exportWorkflow)
	a.handle("POST "+base+"/{id}/execute", a.execute)
	a.handle("POST "+base+"/test", a.test)
}

// workflowBody is a workflow as clients send it: the definition under its
// name or, as React Flow saves it, at the top.
type workflowBody struct {
	Title      string            `json:"title"`
	Definition *graph.Definition `json:"definition"`
	Nodes      []graph.Node      `json:"nodes"`
	Edges      []graph.Edge      `json:"edges"`
	Options    *graph.Options    `json:"workflowOptions"`
}

func (b workflowBody) definition() (*graph.Definition, error) {
	switch {
	case b.Definition != nil && (b.Nodes != nil || b.Edges != nil || b.Options != nil):
		return nil, events.FieldErrorf("definition", "is given twice: leave out nodes, edges and workflowOptions beside it")
	case b.Definition != nil || b.Nodes == nil && b.Edges == nil:
		return b.Definition, nil
	}
	def := &graph.Definition{Nodes: b.Nodes, Edges: b.Edges}
	if b.Options != nil {
		def.Options = *b.Options
	}
	return def, nil
}

func (a *API) listWorkflows(r *request) (any, error) {
	list, err := a.opts.Workflows.List(r.Context(), r.id, r.tenant())
	if list == nil {
		list = []workflow.Workflow{}
	}
	return map[string]any{"workflows": list}, err
}

func (a *API) createWorkflow(r *request) (any, error) {
	title, def, err := r.wholeWorkflow()
	if err != nil {
		return nil, err
	}
	w, err := a.opts.Workflows.Create(r.Context(), r.id, r.tenant(), title, def)
	return created{w}, err
}

// wholeWorkflow reads a body that must have a definition.
func (r *request) wholeWorkflow() (title string, def graph.Definition, err error) {
	var body workflowBody
	if err := r.decode(&body); err != nil {
		return "", def, err
	}
	d, err := body.definition()
	if err == nil && d == nil {
		err = events.FieldErrorf("definition", "is missing")
	}
	if err != nil {
		return "", def, err
	}
	return body.Title, *d, nil
}

// putWorkflow creates or replaces a workflow under an id of its author's own.
func (a *API) putWorkflow(r *request) (any, error) {
	title, def, err := r.wholeWorkflow()
	if err != nil {
		return nil, err
	}
	if id := r.PathValue("id"); slices.Contains(pathWords, id) {
		return nil, events.FieldErrorf("id", "%q means something else in paths: choose another", id)
	}
	w, isNew, err := a.opts.Workflows.Put(r.Context(), r.id, r.tenant(), r.PathValue("id"), title, def)
	if err != nil || !isNew {
		return w, err
	}
	return created{w}, nil
}

// pathWords stand where the ids of workflows do.
var pathWords = []string{"instances", "test", "data-collection"}

// workflow returns the workflow in the path, if it is the tenant's.
func (a *API) workflow(r *request, action auth.Action) (workflow.Workflow, error) {
	return a.opts.Workflows.Find(r.Context(), r.id, action, r.tenant(), r.PathValue("id"))
}

func (a *API) getWorkflow(r *request) (any, error) { return a.workflow(r, auth.ReadWorkflows) }

func (a *API) changeWorkflow(r *request) (any, error) {
	w, err := a.workflow(r, auth.WriteWorkflows)
	if err != nil {
		return nil, err
	}
	var body workflowBody
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	def, err := body.definition()
	if err != nil {
		return nil, err
	}
	return a.opts.Workflows.Change(r.Context(), r.id, w.ID, body.Title, def)
}

func (a *API) deleteWorkflow(r *request) (any, error) {
	w, err := a.workflow(r, auth.WriteWorkflows)
	if err != nil {
		return nil, err
	}
	return map[string]any{"deleted": w.ID}, a.opts.Workflows.Delete(r.Context(), r.id, w.ID)
}

func (a *API) cloneWorkflow(r *request) (any, error) {
	w, err := a.workflow(r, auth.WriteWorkflows)
	if err != nil {
		return nil, err
	}
	clone, err := a.opts.Workflows.Create(r.Context(), r.id, w.Tenant, w.Title+" (copy)", w.Plan.Definition)
	return created{clone}, err
}

func (a *API) exportWorkflow(r *request) (any, error) {
	w, err := a.workflow(r, auth.ReadWorkflows)
	return map[string]any{"title": w.Title, "definition": w.Plan}, err
}

type executeBody struct {
	InputValues map[string]any `json:"inputValues"`
}

func (a *API) execute(r *request) (any, error) {
	w, err := a.workflow(r, auth.Execute)
	if err != nil {
		return nil, err
	}
	var body executeBody
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	run, err := a.opts.Workflows.Begin(r.Context(), r.id, w, body.InputValues)
	return created{map[string]any{"instanceID": run.ID}}, err
}

// test runs a definition that has not been saved.
func (a *API) test(r *request) (any, error) {
	var body struct {
		workflowBody
		executeBody
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	def, err := body.definition()
	if err == nil && def == nil {
		err = events.FieldErrorf("nodes", "is missing")
	}
	if err != nil {
		return nil, err
	}
	run, err := a.opts.Workflows.Test(r.Context(), r.id, r.tenant(), *def, body.InputValues)
	return created{map[string]any{"instanceID": run.ID, "isTest": true}}, err
}
