package workflow

import (
	"errors"
	"time"

	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// arm sets the timers of suspended nodes. The mutex is held.
func (x *execution) arm() {
	if x.over() {
		return
	}
	for _, n := range x.machine.suspendedNodes() {
		if n.suspended.Until == nil || x.timers[n.ID] != nil {
			continue
		}
		id := n.ID
		x.timers[id] = time.AfterFunc(n.suspended.Until.Sub(x.svc.opts.Now()), func() { x.wake(id) })
	}
}

// wake goes on with a node whose time has come.
func (x *execution) wake(nodeID string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := x.machine.nodes[nodeID]
	if x.over() || n.status != nodeSuspended {
		return
	}
	delete(x.timers, nodeID)
	var e Entry
	var err error
	if n.suspended.Config != nil {
		e, err = newEntry(NodeFailed, nodeID, x.failure(n.Node, nodes.Result{}, errors.New("the input did not come in time")))
	} else {
		e, err = newEntry(NodeCompleted, nodeID, completion{Output: n.suspended.Output, Variable: n.outputVariable(), Handle: defaultHandle})
	}
	if err == nil {
		err = x.commit(e)
	}
	if err == nil {
		x.arm()
	}
}
