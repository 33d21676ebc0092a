package datasource

import (
	"fmt"
	"strings"
)

// A stopError says why a query was stopped, most often at which limit.
type stopError struct{ text string }

func (e *stopError) Error() string { return e.text }

func stopf(format string, args ...any) error { return &stopError{fmt.Sprintf(format, args...)} }

// rows collects a result within its limits.
type rows struct {
	maxRows  int
	maxBytes int64
	bytes    int64
	list     []any
}

func (r *rows) add(columns []string, values []any, bytes int) error {
	if len(r.list) == r.maxRows {
		return stopf("has more than %d rows (maxRows)", r.maxRows)
	}
	// Names count too: they are in every row of the result.
	r.bytes += int64(bytes) + int64(len(strings.Join(columns, "")))
	if r.bytes > r.maxBytes {
		return tooLarge(r.maxBytes)
	}
	row := make(map[string]any, len(columns))
	for i, name := range columns {
		if _, twice := row[name]; twice {
			return stopf("has two columns called %q: give one another name with AS", name)
		}
		row[name] = values[i]
	}
	r.list = append(r.list, row)
	return nil
}

func tooLarge(limit int64) error {
	return stopf("the result is larger than %d bytes (maxBytes)", limit)
}
