package app

import (
	"net"
	"net/http"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/telemetry"
)

// metrics serves /metrics to this machine and to who operates the server. What
// a proxy passes on comes from elsewhere, whatever address the proxy has.
func (a *App) metrics() http.Handler {
	handler := telemetry.Handler(telemetry.Sources{
		Version: Version, Sessions: a.socket.Stats, Transport: a.socket.TransportStats, LogsLost: a.lines.Dropped,
		Credentials: a.auth.Counts, Runs: a.journal.Counts, Turns: a.chat.Counts, Temporal: a.temporalSource(), Meetings: a.meetings.Stats, WebSockets: a.websockets, Cluster: a.clusterSources(),
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if local(r) {
			handler.ServeHTTP(w, r)
			return
		}
		id, err := a.auth.Authenticate(r.Context(), auth.FromRequest(r.Header, nil).From(remoteIP(r)))
		if err == nil && !id.CanMonitor() {
			err = events.Errorf(events.CodePermissionDenied, "metrics are for administrators")
		}
		if err != nil {
			e, _ := events.Public(err)
			a.guard().refuse(w, r, e)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

func (a *App) clusterSources() telemetry.Cluster {
	c := telemetry.Cluster{History: a.history.Stats, Instances: a.instances.Stats}
	if a.bus != nil {
		c.Bus, c.Peers = a.bus.Status, a.peers.Stats
	}
	if a.canary != nil {
		c.Canary = a.canary.Stats
	}
	return c
}

// local reports whether a request began on this machine.
func local(r *http.Request) bool {
	for _, header := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(header) != "" {
			return false
		}
	}
	ip := net.ParseIP(remoteIP(r))
	return ip != nil && ip.IsLoopback()
}

func remoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
