package app

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// check is the state of something that the server needs.
type check struct {
	OK    bool       `json:"ok"`
	Why   string     `json:"why,omitempty"`   // it is not
	Since *time.Time `json:"since,omitempty"` // when that changed, where it is known
}

// unless returns a check that fails if there is a reason.
func unless(why string) check { return check{OK: why == "", Why: why} }

// live says that the process is there.
func (a *App) live(w http.ResponseWriter, _ *http.Request) {
	sendHealth(w, http.StatusOK, map[string]any{"status": "live", "version": Version})
}

// readiness says whether the server can do its work. One whose bus is down
// serves its own clients and says so; without Temporal it does all but runs.
func (a *App) readiness(w http.ResponseWriter, r *http.Request) {
	checks := a.checks(r.Context())
	status, word := http.StatusOK, "ready"
	for name, c := range checks {
		switch {
		case c.OK:
		case name == "bus" && !a.opts.Config.Health.RequireBus, name == "temporal":
			if status == http.StatusOK {
				word = "degraded"
			}
		default:
			status, word = http.StatusServiceUnavailable, "not ready"
		}
	}
	sendHealth(w, status, map[string]any{"status": word, "version": Version, "instance": a.instance, "checks": checks})
}

func (a *App) checks(ctx context.Context) map[string]check {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	checks := map[string]check{"server": unless(""), "store": unless(""), "instance": unless("")}
	if !a.ready.Load() {
		checks["server"] = unless("starting or stopping")
	}
	if err := a.db.Ping(ctx); err != nil {
		checks["store"] = unless("does not answer")
	}
	if a.instances.ID() == "" {
		checks["instance"] = unless("was silent for too long")
	}
	if a.canary != nil {
		checks["canary"] = unless(a.canary.Deaf())
	}
	if a.bus != nil {
		s := a.bus.Status()
		c := check{OK: s.Up, Since: &s.Since}
		if !s.Up {
			c.Why = s.Error
		}
		checks["bus"] = c
	}
	if a.temporal != nil {
		checks["temporal"] = temporalCheck(a.temporal.Status())
	}
	return checks
}

func sendHealth(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}
