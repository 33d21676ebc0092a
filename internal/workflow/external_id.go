package workflow

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/workflow/graph"
)

// externalIDs is the name space of the IDs of workflows that their authors have
// given ids of their own.
var externalIDs = uuid.MustParse("5b0f3f0e-6a1d-4f7b-9d0e-2f1c6a7e4b35")

// IDOf returns the ID of the workflow that a user of a tenant means by an id: a
// UUID means itself, anything else is an id that its author gave it.
func IDOf(tenant, id string) string {
	if id == "" || isID(id) {
		return id
	}
	return uuid.NewSHA1(externalIDs, []byte(tenant+"\x00"+id)).String()
}

func isID(id string) bool { return len(id) == 36 && uuid.Validate(id) == nil }

// Find is [Service.Get] for a workflow of one tenant, by its ID or by that of
// its author.
func (s *Service) Find(ctx context.Context, id *auth.Identity, a auth.Action, tenant, workflowID string) (Workflow, error) {
	w, err := s.Get(ctx, id, a, IDOf(tenant, workflowID))
	e, meant := events.Public(err)
	if err == nil && w.Tenant != tenant || err != nil && meant && e.Code == events.CodeNotFound {
		return Workflow{}, events.NotFound("workflow", workflowID)
	}
	return w, err
}

// Put stores a workflow under an id of its author's own, and replaces the one
// that has it. isNew tells that there was none. Without a title the one there
// was is kept; a new one is called by its id.
func (s *Service) Put(ctx context.Context, id *auth.Identity, tenant, externalID, title string, def graph.Definition) (w Workflow, isNew bool, err error) {
	switch {
	case !id.Can(auth.ReadWorkflows, tenant):
		return w, false, events.NotFound("tenant", tenant)
	case !id.Can(auth.WriteWorkflows, tenant):
		return w, false, forbidden(auth.WriteWorkflows)
	case isID(externalID):
		w, err = s.Find(ctx, id, auth.WriteWorkflows, tenant, externalID) // one that the server gave
		if err == nil {
			w, err = s.Change(ctx, id, w.ID, title, &def)
		}
		return w, false, err
	case !once.Valid(externalID):
		return w, false, events.FieldErrorf("id", "is not 1 to 128 printable characters")
	}
	if err := s.Check(tenant, def); err != nil {
		return w, false, err
	}
	workflowID := IDOf(tenant, externalID)
	_, err = s.opts.Store.Workflow(ctx, workflowID)
	if errors.Is(err, ErrNotFound) {
		now := s.opts.Now().UTC()
		w = Workflow{ID: workflowID, ExternalID: externalID, Tenant: tenant, Title: title, Plan: graph.NewPlan(def), CreatedBy: id.User, CreatedAt: now, UpdatedAt: now}
		if w.Title == "" {
			w.Title = externalID
		}
		if w, err = s.saved(id, w, s.opts.Store.CreateWorkflow(ctx, w)); err == nil {
			return w, true, nil
		}
		if _, there := s.opts.Store.Workflow(ctx, workflowID); there != nil { // nobody else was faster
			return Workflow{}, false, err
		}
	}
	w, err = s.Change(ctx, id, workflowID, title, &def)
	return w, false, err
}
