package app

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/chat/assistant/agent"
	"github.com/roomcast/roomcast/internal/logstream"
)

// agentLog is the log as the assistant needs it. What it finds is said in a
// conversation of a tenant, whose members may be any: lines about other tenants,
// or about somebody of whom nobody knows the tenant, are left out even if the
// user may see them elsewhere.
type agentLog struct{ lines *logstream.Stream }

var _ agent.Log = agentLog{}

// Search implements [agent.Log].
func (l agentLog) Search(ctx context.Context, id *auth.Identity, q agent.LogQuery) (found []agent.LogLine, n int, err error) {
	var least slog.Level
	if q.Level == "" {
		q.Level = "debug"
	}
	if err := least.UnmarshalText([]byte(q.Level)); err != nil {
		return nil, 0, err
	}
	found = []agent.LogLine{}
	text := bytes.ToLower([]byte(q.Text))
	lines, _ := l.lines.Since(0)
	for _, line := range slices.Backward(lines) {
		if !maySee(id, q.Tenant, line) || line.Level < least || line.Time.Before(q.Since) || !bytes.Contains(bytes.ToLower(line.Content), text) {
			continue
		}
		if n++; n <= q.Limit {
			found = append(found, agent.LogLine{At: line.Time.UTC().Format(time.RFC3339Nano), Level: line.Level.String(), Content: []byte(line.Content)})
		}
	}
	return found, n, ctx.Err()
}

// maySee reports whether a user may see a line in a conversation of a tenant.
func maySee(id *auth.Identity, tenant string, l logstream.Line) bool {
	if l.Shared {
		return id.Operator() || id.MayBeIn("log:shared", "", "")
	}
	return l.Tenant == tenant && (id.Operator() || id.MayBeIn("log:tenant", tenant, ""))
}
