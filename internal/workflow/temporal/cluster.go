//go:build temporal

package temporal

import (
	"context"
	"errors"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
)

// A cluster is Temporal, as far as the engine asks it for something.
type cluster interface {
	// Start starts the workflow of a run, unless that was done before.
	Start(ctx context.Context, t ticket) error
	// Signal tells the workflow of a run something, which it gets sometime.
	Signal(ctx context.Context, runID, signal string, arg any) error
	// State returns what has become of the workflow of a run.
	State(ctx context.Context, runID string) (state, error)
}

// errGone is returned by [cluster.Signal] if no such workflow goes on.
var errGone = errors.New("no such workflow goes on in Temporal")

// state is what has become of a workflow.
type state int

const (
	unknown state = iota // Temporal does not know it
	open
	closed
)

// remote is the user's cluster.
type remote struct {
	client    client.Client
	taskQueue string
}

func (r remote) Start(ctx context.Context, t ticket) error {
	_, err := r.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: t.Run, TaskQueue: r.taskQueue, Priority: t.priority(),
		Memo:                                     map[string]any{"tenant": t.Tenant},
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
	}, workflowName, t)
	if _, before := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); before {
		return nil
	}
	return err
}

func (r remote) Signal(ctx context.Context, runID, signal string, arg any) error {
	err := r.client.SignalWorkflow(ctx, runID, "", signal, arg)
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
		return errGone
	}
	return err
}

func (r remote) State(ctx context.Context, runID string) (state, error) {
	d, err := r.client.DescribeWorkflowExecution(ctx, runID, "")
	if _, none := errors.AsType[*serviceerror.NotFound](err); none {
		return unknown, nil
	}
	if err != nil {
		return unknown, err
	}
	if d.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return open, nil
	}
	return closed, nil
}
