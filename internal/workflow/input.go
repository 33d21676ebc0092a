package workflow

import (
	"context"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// An Input is what somebody gives a run.
type Input struct {
	// RequestID names the request that it answers; "" is the oldest.
	RequestID string
	Data      any
	// Field is what the sender calls the data; errors name it.
	Field string
}

// RunOfRequest returns the run of a tenant that made a request for input and
// waits, if the user may answer it. If ctx is of a request to the server that
// may have been carried out before, the run need not wait any more: this may be
// the answer that it took.
func (s *Service) RunOfRequest(ctx context.Context, id *auth.Identity, tenant, requestID string) (Run, error) {
	if !id.Can(auth.AnswerRuns, tenant) {
		return Run{}, interpreter.NoRequest(requestID)
	}
	run, err := s.opts.Store.RunOfRequest(ctx, tenant, requestID)
	if errors.Is(err, ErrNotFound) {
		return Run{}, interpreter.NoRequest(requestID)
	}
	if err != nil {
		return Run{}, fmt.Errorf("looking up request: %w", err)
	}
	if once.Again(ctx) {
		return run, nil
	}
	state, err := s.State(ctx, run)
	if err != nil {
		return Run{}, err
	}
	for _, p := range state.Pending {
		if p.CollectionRequestID == requestID {
			return run, nil
		}
	}
	return Run{}, interpreter.NoRequest(requestID)
}

// Submit gives a run the input that it waits for. The caller has asked whether
// the user may.
func (s *Service) Submit(ctx context.Context, id *auth.Identity, run Run, in Input) error {
	return s.deliver(ctx, run, interpreter.Order{
		Do: interpreter.Submit, RequestID: in.RequestID, Data: in.Data, Field: in.Field, User: id.User, ID: once.Key(ctx, "order"),
	})
}

// WidgetInput makes what a person did in a widget readable by later nodes as
// __widgetInput. A form also answers the oldest request of the run, if there
// is one. The caller has asked whether the user may.
func (s *Service) WidgetInput(ctx context.Context, id *auth.Identity, run Run, value map[string]any, form bool) error {
	return s.deliver(ctx, run, interpreter.Order{Do: interpreter.WidgetInput, Data: value, Form: form, User: id.User, ID: once.Key(ctx, "order")})
}

// Stop ends a run as stopped. Stopping what is over is an error; the caller has
// asked whether the user may.
func (s *Service) Stop(ctx context.Context, id *auth.Identity, run Run) error {
	return s.deliver(ctx, run, interpreter.Order{Do: interpreter.Stop, User: id.User})
}

// Cancel ends a run as cancelled, as [Service.Stop] does.
func (s *Service) Cancel(ctx context.Context, id *auth.Identity, run Run) error {
	return s.deliver(ctx, run, interpreter.Order{Do: interpreter.Cancel, User: id.User})
}

func (s *Service) deliver(ctx context.Context, run Run, o interpreter.Order) error {
	e, err := s.engine(run)
	if err != nil {
		return err
	}
	return e.Deliver(ctx, run, order(run, o))
}
