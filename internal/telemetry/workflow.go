package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomcast/roomcast/internal/workflow/journal"
	"github.com/roomcast/roomcast/internal/workflow/temporal"
)

var (
	runsLive       = desc("runs", "Workflow runs that go on in this server.")
	runsEnded      = desc("runs_ended_total", "Workflow runs that ended in this server.", "status")
	nodesRepeated  = desc("nodes_repeated_total", "Nodes that were begun again because their server ended before their result was stored.")
	journalWrites  = desc("journal_writes_total", "What was written to the logs of runs.")
	journalBatches = desc("journal_batches_total", "Transactions that it was written in.")
	temporalUp     = desc("temporal_up", "Whether Temporal, which executes the runs, answers.")
)

func (c collector) describeRuns(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{runsLive, runsEnded, nodesRepeated, journalWrites, journalBatches, temporalUp} {
		ch <- d
	}
}

func (c collector) collectRuns(m metrics) {
	if c.Runs == nil {
		return
	}
	s := c.Runs()
	if c.Temporal != nil {
		state, more := c.Temporal()
		m.gauge(temporalUp, number(state.Up))
		s.Repeated += more.Repeated
		for status, n := range more.Ended {
			s.Ended[status] += n
		}
	}
	m.gauge(runsLive, s.Live)
	m.count(nodesRepeated, s.Repeated)
	m.count(journalWrites, s.Writes)
	m.count(journalBatches, s.Batches)
	for status, n := range s.Ended {
		m.count(runsEnded, n, string(status))
	}
}

// Runs is who is asked about workflow runs; nil where there are none.
type Runs func() journal.Counts

// Temporal is who is asked about runs that Temporal executes; nil where it does
// not.
type Temporal func() (temporal.Status, temporal.Counts)
