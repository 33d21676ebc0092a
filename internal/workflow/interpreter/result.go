package interpreter

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// retryAfter is how long to wait before each further attempt.
var retryAfter = []time.Duration{time.Second, 2 * time.Second}

// Call returns what a node is called with. The variables are a copy, except for
// pure work, which is over before anything else happens in the run.
func (m *Machine) Call(w Work, now time.Time) (typ string, call nodes.Call) {
	n, vars := m.find(w.Node), m.vars
	if !w.Pure {
		vars = maps.Clone(vars)
	}
	return n.Type, nodes.Call{
		RunID: m.opts.RunID, NodeID: w.Node, Tenant: m.opts.Tenant, User: m.opts.User, Key: m.key(w.Node, w.Iteration).String(),
		Source: n.Data, Vars: vars, Now: now,
	}
}

// keySpace is what the keys of node executions are derived in.
var keySpace = uuid.MustParse("7f0b5f0e-3f5e-5c53-9e0c-4b1f6a1f2f6d")

// key names the execution of a node, however often it is tried.
func (m *Machine) key(nodeID, iteration string) uuid.UUID {
	return uuid.NewSHA1(keySpace, fmt.Appendf(nil, "%s\x00%s\x00%s", m.opts.RunID, nodeID, iteration))
}

// Result takes how work has ended. That of work which nobody waits for any
// more is ignored.
func (m *Machine) Result(w Work, r nodes.Result, err error, now time.Time) {
	n := m.find(w.Node)
	if m.ended != nil || n.status != computing && n.status != dispatched || m.iteration(n) != w.Iteration {
		return
	}
	var output json.RawMessage
	if err == nil || r.Output != nil {
		var encoding error
		if output, encoding = m.encode(r.Output); encoding != nil {
			output, err = nil, encoding
		}
	}
	if (r.Suspend != nil || r.Loop != nil) && m.skipping(n) {
		err = errSkipped
	}
	switch {
	case err != nil:
		m.fail(n, output, err.Error(), now)
	case r.Suspend != nil:
		m.suspend(n, *r.Suspend, output, now)
	case r.Loop != nil:
		m.repeat(n, *r.Loop, now)
	default:
		m.mustAdd(NodeCompleted, n, Completion{Output: output, Variable: n.Variable, Handle: graph.HandleOf(n.Type, r.Handle)}, now)
	}
}

var errSkipped = errors.New("the item of its loop was given up")

// encode writes the result of a node.
func (m *Machine) encode(v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("its result cannot be stored: %w", err)
	}
	if limit := m.opts.MaxResult; limit > 0 && len(raw) > limit {
		return nil, fmt.Errorf("its result of %d bytes is larger than workflow.maxResult, which is %d", len(raw), limit)
	}
	if limit := m.opts.MaxVariables; limit > 0 && m.size+len(raw) > limit {
		return nil, fmt.Errorf("with its result of %d bytes the variables of the run are larger than workflow.maxVariables, which is %d", len(raw), limit)
	}
	return raw, nil
}

// fail decides what the error of a node leads to.
func (m *Machine) fail(n *node, output json.RawMessage, message string, now time.Time) {
	handling := n.Data.String("errorHandling")
	if retry := handling == graph.RetryThenFail || handling == graph.RetryThenContinue; retry && n.attempt < len(retryAfter) && !m.skipping(n) {
		wait := retryAfter[n.attempt]
		m.mustAdd(NodeRetry, n, Retry{Error: message, Attempt: n.attempt + 1, Until: now.Add(wait).UTC()}, now)
		return
	}
	m.failFinally(n, output, message, now)
}

// failFinally is fail without another attempt.
func (m *Machine) failFinally(n *node, output json.RawMessage, message string, now time.Time) {
	handling := n.Data.String("errorHandling")
	f := Failure{Error: message, Output: output, Variable: n.Variable}
	switch {
	case handling == graph.ContinueRun || handling == graph.RetryThenContinue:
		f.Handle = onwards(n)
	case handling == graph.ContinueDefault:
		f.Handle = onwards(n)
		f.Output, _ = m.encode(n.Data["defaultValue"]) // it came from JSON
	case (handling == graph.SkipItem || m.skipping(n)) && n.Loop >= 0:
		f.Skip = true
	case m.plan.Handled(max(n.Index, 0), graph.ErrorHandle) && n.Index >= 0:
		f.Handle = graph.ErrorHandle
	}
	m.mustAdd(NodeFailed, n, f, now)
}

// onwards is the handle that a node is left by although it failed.
func onwards(n *node) string {
	if n.Type == graph.LoopType {
		return graph.CompletedHandle
	}
	return graph.OutputHandle
}

// suspend notes what a node waits for.
func (m *Machine) suspend(n *node, s nodes.Suspension, output json.RawMessage, now time.Time) {
	out := Suspension{Output: output, Approval: s.Approval}
	if !s.Until.IsZero() {
		until := s.Until.UTC()
		out.Until = &until
	}
	key := m.key(n.ID, m.iteration(n))
	if in := s.Input; in != nil {
		out.RequestID = uuid.NewSHA1(key, fmt.Appendf(nil, "request %d", n.attempt)).String()
		out.Config = &events.CollectionConfig{
			CollectionType: in.Type, Title: in.Title, Description: in.Description,
			OutputVariable: in.OutputVariable, ExpiryMinutes: in.ExpiryMinutes,
			FormSchema: raw(in.FormSchema), FormUISchema: raw(in.FormUISchema),
		}
	}
	if c := s.Child; c != nil {
		out.Child = &Child{RunID: uuid.NewSHA1(key, fmt.Appendf(nil, "run %d", n.attempt)).String(), WorkflowID: c.WorkflowID, Input: json.RawMessage(raw(c.Input))}
	}
	m.mustAdd(NodeSuspended, n, out, now)
}

// raw writes a value that came from JSON, nil if there is none.
func raw(v any) events.JSON {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}

// repeat begins a loop.
func (m *Machine) repeat(n *node, l nodes.Loop, now time.Time) {
	out := Loop{ItemVariable: l.ItemVariable, IndexVariable: l.IndexVariable, Pause: l.Pause, Items: make([]json.RawMessage, len(l.Items))}
	size := 0
	for i, item := range l.Items {
		encoded, err := m.encode(item)
		if size += len(encoded); err == nil && m.opts.MaxResult > 0 && size > m.opts.MaxResult {
			err = fmt.Errorf("its items are larger than workflow.maxResult, which is %d bytes", m.opts.MaxResult)
		}
		if err != nil {
			m.fail(n, nil, err.Error(), now)
			return
		}
		out.Items[i] = encoded
	}
	m.mustAdd(LoopStarted, n, out, now)
}
