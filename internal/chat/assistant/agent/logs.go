package agent

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
)

// A Log is that of the server, as far as a user may see it.
type Log interface {
	// Search returns the latest lines that a query asks for, newest first, and
	// how many there are. Those about other tenants than that of the query are
	// nobody's in its conversation.
	Search(ctx context.Context, id *auth.Identity, q LogQuery) (lines []LogLine, found int, err error)
}

// A LogQuery says which lines are wanted.
type LogQuery struct {
	Tenant string
	Text   string    // somewhere in the line, in whichever case; "" is any
	Level  string    // one of levels, or worse
	Since  time.Time // zero is as far as the log goes back
	Limit  int
}

// A LogLine is one of the log, without secrets.
type LogLine struct {
	At      string          `json:"at"`
	Level   string          `json:"level"`
	Content json.RawMessage `json:"line"`
}

var levels = []string{"debug", "info", "warn", "error"}

const (
	someLines = 20
	mostLines = 50
)

// LogTool lets the model search the log, for those who may watch it.
func LogTool(l Log) Tool {
	return Tool{
		Name:        "log_search",
		Description: "Searches the latest lines of the server's log, newest first: those that contain a text, of a level or worse, of the last minutes.",
		Parameters: `{"type": "object", "properties": {"text": {"type": "string"}, "level": {"type": "string", "enum": ["debug", "info", "warn", "error"]},
			"minutes": {"type": "number", "minimum": 0}, "limit": {"type": "integer", "minimum": 1, "maximum": 50}}}`,
		Offered: func(t chat.Turn) bool { return t.Identity.CanMonitor() },
		Use:     taking(searchLog(l)),
	}
}

type logArgs struct {
	Text, Level string
	Minutes     float64
	Limit       int
}

func searchLog(l Log) func(context.Context, chat.Turn, logArgs) (Result, error) {
	return func(ctx context.Context, t chat.Turn, args logArgs) (Result, error) {
		q := LogQuery{Tenant: t.Room.Tenant, Text: args.Text, Level: args.Level, Limit: someLines}
		switch {
		case args.Level != "" && !slices.Contains(levels, args.Level):
			return Result{}, events.FieldErrorf("level", "is not one of debug, info, warn, error")
		case args.Minutes < 0:
			return Result{}, events.FieldErrorf("minutes", "is negative")
		case args.Limit > 0:
			q.Limit = min(args.Limit, mostLines)
		}
		if args.Minutes > 0 {
			q.Since = time.Now().Add(-time.Duration(min(args.Minutes, 1e6) * float64(time.Minute)))
		}
		lines, found, err := l.Search(ctx, t.Identity, q)
		return Result{Data: map[string]any{"found": found, "lines": lines}, Summary: counted(found, "line")}, err
	}
}
