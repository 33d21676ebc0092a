// Package datasource asks the databases and HTTP services that a configuration
// names, on behalf of workflows. Values are bound to the parameters of a query
// and never become part of its text. Every source has limits, and whatever is
// stopped at one says so. Errors are for authors of workflows: they hold no
// address and no password.
package datasource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// The kinds of sources.
const (
	Postgres = "postgres"
	SQLite   = "sqlite"
	REST     = "rest"
)

// Options configure the sources.
type Options struct {
	Sources []Source
	Logger  *slog.Logger
}

// A Source is where data is.
type Source struct {
	Name   string
	Driver string
	// URL is postgres://…, the path of a file, or the beginning of all addresses
	// of a service.
	URL string
	// Tenants may use the source; empty is all.
	Tenants []string
	// Timeout bounds a query and the wait for its turn. Default 10 s.
	Timeout time.Duration
	// MaxRows bounds the rows of a result, 1000 by default; MaxBytes its values,
	// 1 MiB; MaxConns the queries at once, 4.
	MaxRows  int
	MaxBytes int64
	MaxConns int
	// Headers go with every request of a REST source.
	Headers []Header
	// AllowPrivate lets a REST source be at a private address.
	AllowPrivate bool
	// AllowQueries lets workflows bring SQL of their own, which can only read.
	AllowQueries bool
	Queries      []Query
}

// A Header is one of an HTTP request.
type Header struct{ Name, Value string }

// A Query is one that workflows may run. It has an SQL text or, with REST, a
// method and a path. @name stands for a parameter.
type Query struct {
	ID, Title string
	SQL       string
	// Write lets the query change something.
	Write bool
	// Method is GET by default, Path is below the URL of the source, and Body is
	// JSON.
	Method, Path string
	Fields       []Field
	Body         string
	Params       []Param
}

// A Field is one of the query of an address.
type Field struct{ Name, Value string }

// A Param is a parameter of a query.
type Param struct {
	Name string
	// Type is string, number, integer, boolean, array or json; empty is any.
	Type     string
	Required bool
	Default  any
	nullable bool // required, and null will do
}

// A Request is a query to run.
type Request struct {
	// Tenant is whose run it is; in [Sources.Check] empty is not known yet.
	Tenant, User string
	// Key is the same whenever the request is repeated.
	Key string
	// ID names a query. If it is empty, SQL is for Source.
	ID, Source, SQL string
	Args            map[string]any
	// AnyArgs means, in [Sources.Check], that the arguments are not known yet.
	AnyArgs bool
}

// A Problem is something wrong with one field of a request.
type Problem struct{ Field, Message string }

// Sources are all sources. Their methods may be called concurrently.
type Sources struct {
	log     *slog.Logger
	sources []*source
}

// A source is a Source in use.
type source struct {
	Source
	queries []*query
	backend backend
	slots   chan struct{} // one for each query that runs
}

// A backend runs the queries of a source.
type backend interface {
	// run hands every row to add, and stops with its error. What it returns, if
	// not nil, takes the place of the rows.
	run(ctx context.Context, q *query, values map[string]any, key string, add addFunc) (any, error)
	// refusal is what the other side said about a query, "" if the error is about
	// something else.
	refusal(err error) string
	Close() error
}

// addFunc takes a row: its columns, their values and how many bytes they came
// as.
type addFunc func(columns []string, values []any, bytes int) error

// New checks the sources and prepares their queries. It connects to none: one
// that is away does not keep the server from starting.
func New(o Options) (*Sources, error) {
	s := &Sources{log: o.Logger}
	var problems []error
	for i, src := range o.Sources {
		ready, errs := prepare(src)
		for _, err := range errs {
			problems = append(problems, fmt.Errorf("dataSources[%d].%w", i, err))
		}
		s.sources = append(s.sources, ready)
	}
	problems = append(problems, s.twice()...)
	if err := errors.Join(problems...); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// twice finds names that two sources or two queries have.
func (s *Sources) twice() (problems []error) {
	names, ids := map[string]bool{}, map[string]bool{}
	for i, src := range s.sources {
		if src.Name != "" && names[src.Name] {
			problems = append(problems, fmt.Errorf("dataSources[%d].name: %q is used twice", i, src.Name))
		}
		names[src.Name] = true
		for j, q := range src.queries {
			if q.ID != "" && ids[q.ID] {
				problems = append(problems, fmt.Errorf("dataSources[%d].queries[%d].id: %q is used twice; ids are for all sources together", i, j, q.ID))
			}
			ids[q.ID] = true
		}
	}
	return problems
}

// Close closes all connections. Queries that run fail.
func (s *Sources) Close() error {
	var errs []error
	for _, src := range s.sources {
		if src.backend != nil {
			errs = append(errs, src.backend.Close())
		}
	}
	return errors.Join(errs...)
}

// Query runs a request and returns a list of rows, each an object of values by
// column; the number of rows that a statement without a result changed, as
// {rowsAffected}; or what a service answered.
func (s *Sources) Query(ctx context.Context, r Request) (any, error) {
	q, values, problem := s.find(r)
	if problem != nil {
		return nil, fmt.Errorf("%s %s", problem.Field, problem.Message)
	}
	out, err := q.source.run(ctx, q, values, r.Key)
	switch {
	case err == nil:
		return out, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("%s: %w", q, s.explain(q, err))
}

// run waits for its turn and runs a query within the limits.
func (src *source) run(ctx context.Context, q *query, values map[string]any, key string) (any, error) {
	limited, cancel := context.WithTimeout(ctx, src.Timeout)
	defer cancel()
	select {
	case src.slots <- struct{}{}:
		defer func() { <-src.slots }()
	case <-limited.Done():
		return nil, stopf("all connections were in use for %v (maxConns is %d)", src.Timeout, src.MaxConns)
	}
	rows := &rows{maxRows: src.MaxRows, maxBytes: src.MaxBytes, list: []any{}}
	out, err := src.backend.run(limited, q, values, key, rows.add)
	switch {
	case errors.Is(err, context.DeadlineExceeded), err != nil && limited.Err() != nil:
		return nil, stopf("took longer than %v (timeout)", src.Timeout)
	case err != nil:
		return nil, err
	case out != nil:
		return out, nil
	}
	return rows.list, nil
}

// explain is what an author may know of an error. The rest is for the log.
func (s *Sources) explain(q *query, err error) error {
	var stopped *stopError
	if errors.As(err, &stopped) {
		return stopped
	}
	if text := q.source.backend.refusal(err); text != "" {
		return errors.New(text)
	}
	s.log.Warn("data source cannot be reached", "source", q.source.Name, "query", q.ID, "error", innermost(err))
	return errors.New("the data source cannot be reached")
}

// innermost is the last of a chain of errors. Those before it may name
// addresses and users.
func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if many, ok := err.(interface{ Unwrap() []error }); ok && len(many.Unwrap()) > 0 {
			inner = many.Unwrap()[0]
		}
		if inner == nil {
			return err
		}
		err = inner
	}
}

// open reports whether a tenant may use a source. Without a tenant it reports
// whether everybody may.
func (src *source) open(tenant string) bool {
	return len(src.Tenants) == 0 || tenant != "" && slices.Contains(src.Tenants, tenant)
}
