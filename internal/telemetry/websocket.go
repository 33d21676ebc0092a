package telemetry

import "github.com/prometheus/client_golang/prometheus"

// WebSockets returns how many connections there are that do not speak Socket.IO,
// by dialect; nil is none.
type WebSockets func() map[string]int

var websocketConnections = desc("websocket_connections", "Open connections of clients that do not speak Socket.IO.", "dialect")

func (c collector) describeWebSockets(ch chan<- *prometheus.Desc) { ch <- websocketConnections }

func (c collector) collectWebSockets(m metrics) {
	if c.WebSockets == nil {
		return
	}
	for dialect, n := range c.WebSockets() {
		m.gauge(websocketConnections, n, dialect)
	}
}
