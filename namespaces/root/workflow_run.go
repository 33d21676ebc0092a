package root

import (
	"context"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/namespaces"
)

type workflowRun struct{ workflows *workflow.Service }

func (w workflowRun) routes() []namespaces.Route {
	return []namespaces.Route{namespaces.Handle("workflow_run_join", w.join)}
}

type runJoin struct {
	RunID      string `json:"runId"`
	FirebaseID string `json:"firebaseID,omitempty"`
}

type runJoined struct {
	RunID  string           `json:"runId"`
	Status events.RunStatus `json:"status"`
}

// join follows a run from its first node, whenever the client comes.
func (w workflowRun) join(ctx context.Context, s namespaces.Session, in runJoin) (runJoined, error) {
	if err := sameUser(s.Identity(), in.FirebaseID); err != nil {
		return runJoined{}, err
	}
	run, err := w.workflows.Run(ctx, s.Identity(), auth.ReadRuns, in.RunID)
	if err != nil {
		return runJoined{}, err
	}
	out := runJoined{RunID: run.ID, Status: run.Status}
	return out, s.Follow(events.RunRoom(run.ID), 0, func(after uint64) (uint64, error) {
		updates, through, err := w.workflows.Updates(ctx, run, after)
		for _, u := range updates {
			s.Emit(u.Payload)
			if u.Status != "" {
				out.Status = u.Status
			}
		}
		return through, err
	})
}

func isUUID(s string) bool { return uuid.Validate(s) == nil && len(s) == 36 }
