package rawws

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/roomcast/roomcast/events"
)

// NewGenesis returns the dialect genesis.
func NewGenesis(w Workflows, r Runs) Dialect {
	return Dialect{Name: Genesis, Auth: AuthRefuse, Speak: func(c *Conn) Speaker {
		return &genesis{
			conn: c, workflows: w, runs: r,
			channels: map[string]Workflow{}, watched: map[string][]string{}, followed: map[events.Room]*genesisRun{},
		}
	}}
}

// genesis speaks the dialect genesis: {"type", "payload", "timestamp",
// "correlationId"} both ways. What a request has caused carries its correlation
// id, for its client alone.
type genesis struct {
	conn      *Conn
	workflows Workflows
	runs      Runs

	// channels are those that the client is subscribed to, with the workflow that
	// each is of. They are of the goroutine that handles frames.
	channels map[string]Workflow

	mu sync.Mutex
	// watched are the workflows whose runs the client gets, with the names that
	// it has for each.
	watched map[string][]string
	// followed are the runs that the client gets now, and finished the latest
	// that it has got to their ends.
	followed map[events.Room]*genesisRun
	finished latest
	coming   []announcement // runs that are not followed yet, in order
	taking   bool           // somebody follows them, one after the other
	losing   bool           // the client was told that there are too many
	sync     bool           // subscribed to sync, and to notifications
	notified bool
}

// genesisFrame is what the server says.
type genesisFrame struct {
	Type    string `json:"type"`
	Payload any    `json:"payload"`
	// Timestamp is in milliseconds since 1970; that of a pong is the ping's.
	Timestamp     any    `json:"timestamp"`
	CorrelationID string `json:"correlationId,omitempty"`
}

func newGenesisFrame(kind string, payload any, correlation string) genesisFrame {
	return genesisFrame{kind, payload, time.Now().UnixMilli(), correlation}
}

func (g *genesis) say(kind string, payload any, correlation string) {
	g.conn.SendJSON(newGenesisFrame(kind, payload, correlation))
}

// share is say for a notice that many clients may get, each the same.
func (g *genesis) share(n Notice, kind string, payload func() any) {
	g.conn.SendFrame(n.Frame(Genesis, func() []byte {
		text, _ := encode(newGenesisFrame(kind, payload(), ""))
		return text
	}))
}

// Entered implements [Speaker]. The documents have no greeting.
func (g *genesis) Entered(context.Context) {}

// Left implements [Speaker].
func (g *genesis) Left() {}

// Receive implements [Speaker].
func (g *genesis) Receive(ctx context.Context, f frame) {
	if g.conn.Session() == nil {
		return // it has been told, and is being shown out
	}
	correlation, err := correlationOf(f)
	switch {
	case err != nil:
	case f.fields == nil:
		err = events.Errorf(events.CodeValidation, "what was sent is not a JSON object")
	case f.kind == "":
		err = events.FieldErrorf("type", "is missing, or not a text")
	case f.kind == "ping":
		g.pong(f, correlation)
	case f.kind == "subscribe":
		err = g.subscribe(ctx, f, correlation)
	case f.kind == "unsubscribe":
		err = g.unsubscribe(ctx, f, correlation)
	case f.kind == "execute_workflow":
		err = g.execute(ctx, f, correlation)
	default:
		g.fail(correlation, genesisError{Code: "UNKNOWN_TYPE", Message: events.FieldErrorf("type", "%q is unknown: use subscribe, unsubscribe, execute_workflow or ping", f.kind).Message})
	}
	if err != nil {
		g.Refuse(f, err)
	}
}

// pong echoes the number of a ping as it was written: clients subtract it from
// their own clock.
func (g *genesis) pong(f frame, correlation string) {
	pong := newGenesisFrame("pong", struct{}{}, correlation)
	if f.number("timestamp") {
		pong.Timestamp = f.fields["timestamp"]
	}
	g.conn.SendJSON(pong)
}

// correlationOf returns the correlation id of a frame, "" if it has none.
func correlationOf(f frame) (string, *events.Error) {
	raw := f.fields["correlationId"]
	if raw == nil || string(raw) == "null" {
		return "", nil
	}
	if text, ok := textOf(raw); ok && (text == "" || isName(text)) {
		return text, nil
	}
	return "", events.FieldErrorf("correlationId", "is not a text of 1 to 128 printable characters")
}

// isName reports whether a client may call something by a text: it is 1 to 128
// printable characters.
func isName(s string) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= 128 &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Hear implements [Speaker].
func (g *genesis) Hear(n Notice) {
	switch n.Event {
	case "workflow_run_started", "workflow_run_ended":
		p := decode[events.WorkflowRunStarted](n)
		g.announced(p.WorkflowID, p.InstanceID)
	case "workflow_node_update", "workflow_status_update":
		g.hearRun(n)
	case "sync_update":
		if n.of("user:") && g.wants(&g.sync) {
			g.share(n, "sync_update", func() any { return newGenesisSync(decode[events.SyncUpdate](n)) })
		}
	case "notification":
		if (n.of("user:") || n.of("tenant:")) && g.wants(&g.notified) {
			g.share(n, "notification", func() any { return newGenesisNotification(decode[events.Notification](n)) })
		}
	case "agent_status":
		if n.of("agent:") {
			g.share(n, "agent_status", func() any { return newGenesisAgent(decode[events.AgentStatus](n)) })
		}
	case "gap":
		g.lost("some of what was published in a channel was lost: ask for what you need of it")
	case "auth_ended":
		g.Refuse(frame{}, events.Errorf(events.CodeTokenExpired, "%s", decode[events.AuthEnded](n).Message))
	}
}

func (g *genesis) wants(what *bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return *what
}

type genesisSync struct {
	Type          string `json:"type"`
	EntityID      string `json:"entityId"`
	Version       int64  `json:"version"`
	UpdatedAt     int64  `json:"updatedAt"`
	EncryptedData string `json:"encryptedData,omitempty"`
}

func newGenesisSync(p events.SyncUpdate) genesisSync {
	return genesisSync{p.Type, p.EntityID, p.Version, p.UpdatedAt.UnixMilli(), p.EncryptedData}
}

type genesisNotification struct {
	UserID  string          `json:"userId,omitempty"`
	Message string          `json:"message"`
	Level   string          `json:"level,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

func newGenesisNotification(p events.Notification) genesisNotification {
	return genesisNotification{p.UserID, p.Message, p.Level, p.Data}
}

type genesisAgent struct {
	AgentID string          `json:"agentId"`
	Status  string          `json:"status"`
	Data    json.RawMessage `json:"data,omitempty"`
}

func newGenesisAgent(p events.AgentStatus) genesisAgent {
	return genesisAgent{p.AgentID, p.Status, p.Data}
}

// genesisError is the payload of an error.
type genesisError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Details any    `json:"details,omitempty"`
}

// genesisFault are the details of an error that is about one field, or that a
// client may wait for to pass.
type genesisFault struct {
	Field      string `json:"field,omitempty"`
	RetryAfter int    `json:"retryAfter,omitempty"` // in seconds
}

func (g *genesis) fail(correlation string, e genesisError) { g.say("error", e, correlation) }

// lost tells that something will not come.
func (g *genesis) lost(message string) {
	g.fail("", genesisError{Code: "EVENTS_LOST", Message: message})
}

// Refuse implements [Speaker]. Whoever waits for an answer finds it by its
// correlation id, also when the request was not looked at.
func (g *genesis) Refuse(f frame, e *events.Error) {
	asked := f
	if f.dropped != nil {
		asked = parseFrame(f.dropped)
	}
	correlation, _ := correlationOf(asked)
	g.fail(correlation, newGenesisError(f, e))
}

// newGenesisError is what is said of an error about a frame.
func newGenesisError(f frame, e *events.Error) genesisError {
	said := genesisError{Code: genesisCode(f, e), Message: e.Message}
	if fault := (genesisFault{e.Field, e.RetryAfter}); fault != (genesisFault{}) {
		said.Details = fault
	}
	return said
}

// genesisCode is what the dialect calls an error.
func genesisCode(f frame, e *events.Error) string {
	switch {
	case isAuth(e.Code) && e.Code != events.CodeTooManyFailures:
		return "UNAUTHORIZED"
	case e.Field == "type" && f.kind != "":
		return "UNKNOWN_TYPE"
	case e.Code == events.CodeNotFound && f.kind == "execute_workflow":
		return "WORKFLOW_NOT_FOUND"
	}
	if code, ok := genesisCodes[e.Code]; ok {
		return code
	}
	return "INVALID_MESSAGE"
}

var genesisCodes = map[events.Code]string{
	events.CodePermissionDenied: "FORBIDDEN",
	events.CodeNotFound:         "NOT_FOUND",
	events.CodeTooLarge:         "PAYLOAD_TOO_LARGE",
	events.CodeRateLimited:      "RATE_LIMITED",
	events.CodeTooManyRuns:      "RATE_LIMITED",
	events.CodeTooManyFailures:  "RATE_LIMITED",
	events.CodeConflict:         "CONFLICT",
	events.CodeTimeout:          "TIMEOUT",
	events.CodeTemporal:         "SERVICE_UNAVAILABLE",
	events.CodeInternal:         "INTERNAL_ERROR",
}
