package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomcast/roomcast/internal/canary"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/history"
	"github.com/roomcast/roomcast/internal/instances"
	"github.com/roomcast/roomcast/internal/peers"
)

// Cluster is who is asked about several servers. Each may be nil.
type Cluster struct {
	Bus       func() cluster.Status
	Canary    func() map[string]canary.Way
	History   func() history.Stats
	Instances func() instances.Stats
	Peers     func() peers.Stats
}

var (
	busUp         = desc("bus_up", "Whether what connects the servers is up.")
	busWaiting    = desc("bus_waiting", "Messages to other servers that wait until the bus is up.")
	busLost       = desc("bus_lost_total", "Messages that other servers will not get: too many waited.")
	busSent       = desc("bus_sent_total", "Messages to other servers.")
	busReceived   = desc("bus_received_total", "Messages from other servers.")
	busReconnects = desc("bus_reconnects_total", "How often the bus came back.")

	canarySent      = desc("canary_sent_total", "Canaries that the server sent to itself.", "way")
	canaryLost      = desc("canary_lost_total", "Canaries that did not come back in time.", "way")
	canaryReordered = desc("canary_reordered_total", "Canaries that came back after one that was sent later.", "way")
	canaryLatency   = desc("canary_latency_seconds", "How long canaries took to come back.", "way")

	recoverySaved     = desc("recovery_saved_total", "Sessions that were kept because their clients lost the connection.")
	recoveryAlone     = desc("recovery_saved_alone_total", "Of those, kept on this server alone although others should find them.")
	recoveryRecovered = desc("recovery_recovered_total", "Sessions that went on where they were cut.")
	recoveryRefused   = desc("recovery_refused_total", "Sessions that began anew although their clients asked to go on.", "reason")

	historyPublished = desc("history_published_total", "Publications that were stored in the history of a room.")
	historyTrimmed   = desc("history_trimmed_total", "Publications that were removed from it because of their number or age.")

	roomsResyncs   = desc("rooms_resyncs_total", "How often all rooms were compared with the history, after messages may have been missed.")
	roomsRefetches = desc("rooms_refetches_total", "How often publications were missing in a room.")
	roomsRefetched = desc("rooms_refetched_total", "Publications that were then brought from the history.")
	roomsGaps      = desc("rooms_gaps_total", "How often they could not be, and clients were told of a gap.")

	instancePresent  = desc("instance_present", "Whether other servers count on this one.")
	instanceFailures = desc("instance_renewal_failures_total", "How often this server could not say in the database that it is there.")
	instanceLost     = desc("instance_lost_total", "How often this server was silent for so long that others may have taken over its work.")
	instanceRemoved  = desc("instance_removed_total", "Servers that were gone without a word, removed by this one.")

	peersSent       = desc("peers_sent_total", "Requests to other servers.")
	peersUnanswered = desc("peers_unanswered_total", "Of those, that got no answer.")
	peersReceived   = desc("peers_received_total", "Requests from other servers.")
	peersRefused    = desc("peers_refused_total", "Of those, refused because there were too many, or at the end.")
)

func (c collector) describeCluster(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		busUp, busWaiting, busLost, busSent, busReceived, busReconnects, canarySent, canaryLost, canaryReordered, canaryLatency,
		recoverySaved, recoveryAlone, recoveryRecovered, recoveryRefused, historyPublished, historyTrimmed,
		roomsResyncs, roomsRefetches, roomsRefetched, roomsGaps,
		instancePresent, instanceFailures, instanceLost, instanceRemoved, peersSent, peersUnanswered, peersReceived, peersRefused,
	} {
		ch <- d
	}
}

func (c collector) collectCluster(m metrics) {
	if c.Bus != nil {
		s := c.Bus()
		m.gauge(busUp, number(s.Up))
		m.gauge(busWaiting, s.Waiting)
		m.count(busLost, s.Lost)
		m.count(busSent, s.Sent)
		m.count(busReceived, s.Received)
		m.count(busReconnects, s.Reconnects)
	}
	if c.Canary != nil {
		for way, w := range c.Canary() {
			m.count(canarySent, w.Sent, way)
			m.count(canaryLost, w.Lost, way)
			m.count(canaryReordered, w.Reordered, way)
			m <- prometheus.MustNewConstHistogram(canaryLatency, uint64(w.Heard), w.Sum, w.Latency, way)
		}
	}
	if c.History != nil {
		s := c.History()
		m.count(historyPublished, s.Published)
		m.count(historyTrimmed, s.Trimmed)
	}
	if c.Instances != nil {
		s := c.Instances()
		m.gauge(instancePresent, number(s.ID != ""))
		m.count(instanceFailures, s.Failures)
		m.count(instanceLost, s.Lost)
		m.count(instanceRemoved, s.Removed)
	}
	if c.Peers != nil {
		s := c.Peers()
		m.count(peersSent, s.Sent)
		m.count(peersUnanswered, s.Unanswered)
		m.count(peersReceived, s.Received)
		m.count(peersRefused, s.Refused)
	}
}

func (c collector) collectSessions(m metrics) {
	s := c.Sessions()
	m.gauge(sessions, s.Sessions)
	m.gauge(rooms, s.Rooms)
	m.count(received, s.Received)
	m.count(published, s.Published)
	m.count(delivered, s.Delivered)
	m.count(roomsResyncs, s.Resyncs)
	m.count(roomsRefetches, s.Refetches)
	m.count(roomsRefetched, s.Refetched)
	m.count(roomsGaps, s.Gaps)
	m.count(recoverySaved, s.Recovery.Saved)
	m.count(recoveryAlone, s.Recovery.Alone)
	m.count(recoveryRecovered, s.Recovery.Recovered)
	for why, n := range s.Recovery.Refused {
		m.count(recoveryRefused, n, why)
	}
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
