package root

import (
	"context"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/namespaces"
)

type workflowRun struct {
	workflows *workflow.Service
	epoch     string
	rooms     *runRooms
}

func (w workflowRun) routes() []namespaces.Route {
	return []namespaces.Route{namespaces.Handle("workflow_run_join", w.join)}
}

type runJoin struct {
	RunID      string        `json:"runId"`
	Since      *events.Since `json:"since,omitempty"`
	FirebaseID string        `json:"firebaseID,omitempty"`
}

type runJoined struct {
	RunID  string           `json:"runId"`
	Status events.RunStatus `json:"status"`
	resumption
}

// join follows a run from its first node, or from what the client has already,
// whenever it comes.
func (w workflowRun) join(ctx context.Context, s namespaces.Session, in runJoin) (runJoined, error) {
	if err := sameUser(s.Identity(), in.FirebaseID); err != nil {
		return runJoined{}, err
	}
	run, err := w.workflows.Run(ctx, s.Identity(), auth.ReadRuns, in.RunID)
	if err != nil {
		return runJoined{}, err
	}
	joined := runJoined{RunID: run.ID, Status: run.Status}
	ctx, out := context.WithoutCancel(ctx), newSending(ctx, s) // a client may take its time
	since, err := w.resume(ctx, out, run, in.Since)
	if err != nil {
		return runJoined{}, err
	}
	through, err := w.rooms.join(s, run.ID, since, func(after, until uint64) (uint64, error) {
		h, err := w.workflows.History(ctx, run, after)
		if err != nil {
			return 0, err
		}
		joined.Status = h.Run.Status
		for _, u := range h.Updates {
			if u.Offset > until {
				break
			}
			if err := out.Emit(events.Numbered{Payload: u.Payload, Offset: u.Offset}, u.Size()); err != nil {
				return 0, err
			}
		}
		return h.Through, nil
	})
	joined.resumption = resume(w.epoch, in.Since, out.gap, through)
	return joined, err
}

// resume returns the offset after which a client gets the updates of a run.
func (w workflowRun) resume(ctx context.Context, out *sending, run workflow.Run, since *events.Since) (uint64, error) {
	if since == nil {
		return 0, nil
	}
	head, err := w.workflows.Head(ctx, run, since.Offset)
	if err != nil {
		return 0, err
	}
	after, gap := since.Resume(events.RunRoom(run.ID), w.epoch, 0, head)
	return after, out.miss(gap)
}

func isUUID(s string) bool { return uuid.Validate(s) == nil && len(s) == 36 }
