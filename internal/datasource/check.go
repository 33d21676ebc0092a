package datasource

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/datasource/postgres"
	"github.com/roomcast/roomcast/internal/datasource/sqlite"
)

// Check reports everything that is wrong with sources.
func Check(sources []Source) error {
	s, err := New(Options{Sources: sources})
	if err != nil {
		return err
	}
	return s.Close()
}

// A query is a Query in use.
type query struct {
	Query
	source  *source
	names   []string // of the parameters in the SQL
	builtin []string // of those, the ones that the server fills in
	route   *route   // of REST
}

// String implements [fmt.Stringer].
func (q *query) String() string {
	if q.ID == "" {
		return fmt.Sprintf("the query of data source %q", q.source.Name)
	}
	return fmt.Sprintf("query %q of data source %q", q.ID, q.source.Name)
}

// prepare checks a source and makes it ready. The source is returned in any
// case.
func prepare(src Source) (*source, []error) {
	defaults(&src)
	s := &source{Source: src, slots: make(chan struct{}, max(src.MaxConns, 1))}
	problems := src.check()
	for i, q := range src.Queries {
		ready, err := s.prepare(q)
		if err != nil {
			problems = append(problems, fmt.Errorf("queries[%d].%w", i, err))
		}
		s.queries = append(s.queries, ready)
	}
	if len(problems) == 0 {
		backend, err := s.connect()
		if err != nil {
			return s, append(problems, fmt.Errorf("url: %w", err))
		}
		s.backend = backend
	}
	return s, problems
}

func defaults(s *Source) {
	if s.Timeout == 0 {
		s.Timeout = 10 * time.Second
	}
	if s.MaxRows == 0 {
		s.MaxRows = 1000
	}
	if s.MaxBytes == 0 {
		s.MaxBytes = 1 << 20
	}
	if s.MaxConns == 0 {
		s.MaxConns = 4
	}
}

func (s Source) check() (problems []error) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if s.Name == "" {
		add("name: is missing")
	}
	if !slices.Contains([]string{Postgres, SQLite, REST}, s.Driver) {
		add("driver: %q is not one of %s, %s, %s", s.Driver, Postgres, SQLite, REST)
	}
	if s.URL == "" {
		add("url: is missing: set it, or urlFile")
	}
	for _, limit := range []struct {
		name  string
		value int64
	}{{"timeout", int64(s.Timeout)}, {"maxRows", int64(s.MaxRows)}, {"maxBytes", s.MaxBytes}, {"maxConns", int64(s.MaxConns)}} {
		if limit.value < 0 {
			add("%s: is negative", limit.name)
		}
	}
	if s.Driver == REST && s.AllowQueries {
		add("allowQueries: is for databases")
	}
	if s.Driver != REST && (len(s.Headers) > 0 || s.AllowPrivate) {
		add("headers and allowPrivate: are for the driver rest")
	}
	return append(problems, checkHeaders(s.Headers)...)
}

// connect makes what runs the queries, without asking anybody.
func (s *source) connect() (backend, error) {
	switch s.Driver {
	case Postgres:
		db, err := postgres.Open(postgres.Options{URL: s.URL, MaxConns: s.MaxConns, MaxBytes: s.MaxBytes, Timeout: s.Timeout})
		return sqlBackend{db}, err
	case SQLite:
		db, err := sqlite.Open(sqlite.Options{Path: s.URL, MaxConns: s.MaxConns, MaxBytes: s.MaxBytes, Write: s.writes()})
		return sqlBackend{db}, err
	}
	return newREST(s.Source)
}

// writes reports whether any query may change something.
func (s *source) writes() bool {
	return slices.ContainsFunc(s.Queries, func(q Query) bool { return q.Write })
}

// prepare checks a query of the configuration.
func (s *source) prepare(q Query) (*query, error) {
	ready := &query{Query: q, source: s}
	if q.ID == "" {
		return ready, errors.New("id: is missing")
	}
	if err := checkParams(q.Params); err != nil {
		return ready, err
	}
	if s.Driver == REST {
		return ready, ready.prepareREST()
	}
	if q.Method != "" || q.Path != "" || q.Body != "" || len(q.Fields) > 0 {
		return ready, errors.New("method, path, query and body: are for the driver rest")
	}
	st, err := parse(q.SQL, s.Driver, q.Write)
	if err != nil {
		return ready, fmt.Errorf("sql: %w", err)
	}
	return ready, ready.uses("sql", st.names)
}

func checkParams(params []Param) error {
	for i, p := range params {
		at := fmt.Sprintf("params[%d].", i)
		switch {
		case !identifier.MatchString(p.Name):
			return fmt.Errorf("%sname: %q is not a letter with letters, digits and _ after it", at, p.Name)
		case slices.Contains(builtin, p.Name):
			return fmt.Errorf("%sname: %q is filled in by the server, and is not declared", at, p.Name)
		case slices.ContainsFunc(params[:i], func(other Param) bool { return other.Name == p.Name }):
			return fmt.Errorf("%sname: %q is used twice", at, p.Name)
		case p.Type != "" && !slices.Contains(types, p.Type):
			return fmt.Errorf("%stype: %q is not one of %s", at, p.Type, strings.Join(types, ", "))
		}
		if p.Default != nil {
			if _, err := p.accept(p.Default); err != nil {
				return fmt.Errorf("%sdefault: %w", at, err)
			}
		}
	}
	return nil
}

// uses checks that what stands in a query and what is declared are the same.
func (q *query) uses(field string, names []string) error {
	q.names = names
	for _, name := range names {
		switch {
		case slices.Contains(builtin, name):
			q.builtin = append(q.builtin, name)
		case !slices.ContainsFunc(q.Params, func(p Param) bool { return p.Name == name }):
			return fmt.Errorf("%s: @%s is not in params%s", field, name, suggestParam(name, q.Params))
		}
	}
	for i, p := range q.Params {
		if !slices.Contains(names, p.Name) {
			return fmt.Errorf("params[%d].name: @%s does not stand in the query", i, p.Name)
		}
	}
	return nil
}
