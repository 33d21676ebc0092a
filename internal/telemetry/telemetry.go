// Package telemetry offers the numbers of the server to Prometheus. Nothing
// is counted here: the parts count for themselves, and are asked when
// somebody looks.
package telemetry

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/roomcast/roomcast/internal/engineio"
	"github.com/roomcast/roomcast/internal/socketio"
)

// Sources are who is asked.
type Sources struct {
	Version   string
	Sessions  func() socketio.Stats
	Transport func() engineio.Stats
	LogsLost  func() int64
	// Credentials returns how many were let in and refused; nil where none are.
	Credentials func() (verified, refused int64)
	Runs        Runs
	Turns       Turns
	Temporal    Temporal
	Meetings    Meetings
	WebSockets  WebSockets
	Cluster
}

// Handler returns the http.Handler of /metrics.
func Handler(s Sources) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collector{s},
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("roomcast_"+name, help, labels, nil)
}

var (
	buildInfo   = desc("build_info", "The version of the server; always 1.", "version")
	connections = desc("connections", "Open connections of Socket.IO clients.", "transport")
	opened      = desc("connections_opened_total", "Connections that were opened.")
	closed      = desc("connections_closed_total", "Connections that were closed.", "reason")
	queued      = desc("send_queue_bytes", "Bytes that wait for clients to read them.")
	volatile    = desc("volatile_dropped_total", "Volatile messages that were not sent because a client was behind.")
	sessions    = desc("sessions", "Clients in namespaces.")
	rooms       = desc("rooms", "Rooms that somebody is in.")
	received    = desc("events_received_total", "Events that clients emitted.")
	published   = desc("events_published_total", "Events that were published to rooms.")
	delivered   = desc("events_delivered_total", "Events that were sent, each to one client.")
	credentials = desc("credentials_total", "Credentials that were verified: one for each namespace that a client enters, renewal and HTTP request.", "result")
	logsLost    = desc("monitor_log_lines_dropped_total", "Log lines that no monitor saw.")
)

// collector asks the sources for every scrape.
type collector struct{ Sources }

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{buildInfo, connections, opened, closed, queued, volatile, sessions, rooms, received, published, delivered, credentials, logsLost} {
		ch <- d
	}
	c.describeCluster(ch)
	c.describeRuns(ch)
	c.describeTurns(ch)
	c.describeMeetings(ch)
	c.describeWebSockets(ch)
}

// metrics are what a scrape gets.
type metrics chan<- prometheus.Metric

func (m metrics) gauge(d *prometheus.Desc, v int, labels ...string) {
	m <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
}

func (m metrics) count(d *prometheus.Desc, v int64, labels ...string) {
	m <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	m := metrics(ch)
	m.gauge(buildInfo, 1, c.Version)
	t := c.Transport()
	for transport, n := range t.Connections {
		m.gauge(connections, n, transport)
	}
	for reason, n := range t.Closed {
		m.count(closed, n, string(reason))
	}
	m.count(opened, t.Opened)
	m.gauge(queued, t.Queued)
	m.count(volatile, t.VolatileDropped)
	c.collectSessions(m)
	if c.Credentials != nil {
		verified, refused := c.Credentials()
		m.count(credentials, verified, "verified")
		m.count(credentials, refused, "refused")
	}
	m.count(logsLost, c.LogsLost())
	c.collectRuns(m)
	c.collectTurns(m)
	c.collectMeetings(m)
	c.collectWebSockets(m)
	c.collectCluster(m)
}
