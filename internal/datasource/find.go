package datasource

import (
	"fmt"
	"slices"
	"strings"

	"github.com/roomcast/roomcast/internal/nearest"
)

// Check reports what is wrong with a request, as far as that can be known
// before it runs. What is not everybody's is not looked at for nobody in
// particular: it would be told about.
func (s *Sources) Check(r Request) []Problem {
	if r.Tenant == "" && s.restricted(r) {
		return nil
	}
	q, problem := s.lookup(r)
	if problem == nil && !r.AnyArgs {
		_, problem = q.bind(r, true)
	}
	if problem != nil {
		return []Problem{*problem}
	}
	return nil
}

func (s *Sources) restricted(r Request) bool {
	for _, src := range s.sources {
		has := r.ID == "" && src.Name == r.Source || r.ID != "" && slices.ContainsFunc(src.queries, func(q *query) bool { return q.ID == r.ID })
		if has && len(src.Tenants) > 0 {
			return true
		}
	}
	return false
}

// find returns the query that a request names, and the values for it.
func (s *Sources) find(r Request) (*query, map[string]any, *Problem) {
	q, problem := s.lookup(r)
	if problem != nil {
		return nil, nil, problem
	}
	values, problem := q.bind(r, false)
	return q, values, problem
}

// lookup finds a query among those that the tenant may use. What another
// tenant has does not exist.
func (s *Sources) lookup(r Request) (*query, *Problem) {
	var ids, names []string
	for _, src := range s.sources {
		if !src.open(r.Tenant) {
			continue
		}
		if r.ID == "" && src.AllowQueries {
			if src.Name == r.Source {
				return src.adHoc(r.SQL)
			}
			names = append(names, src.Name)
		}
		for _, q := range src.queries {
			if r.ID != "" && q.ID == r.ID {
				return q, nil
			}
			ids = append(ids, q.ID)
		}
	}
	if r.ID != "" {
		return nil, &Problem{"dataQueryID", fmt.Sprintf("there is no data query %q%s", r.ID, suggest(r.ID, ids))}
	}
	return nil, &Problem{"dataSource", fmt.Sprintf("there is no data source %q that takes queries of workflows%s", r.Source, suggest(r.Source, names))}
}

// adHoc is a query that a workflow brings. Its parameters are those that stand
// in it.
func (s *source) adHoc(sql string) (*query, *Problem) {
	st, err := parse(sql, s.Driver, false)
	if err != nil {
		return nil, &Problem{"query", err.Error()}
	}
	q := &query{Query: Query{SQL: sql}, source: s, names: st.names}
	for _, name := range st.names {
		switch {
		case !identifier.MatchString(name):
			return nil, &Problem{"query", fmt.Sprintf("@%s does not begin with a letter", name)}
		case slices.Contains(builtin, name):
			q.builtin = append(q.builtin, name)
		default:
			q.Params = append(q.Params, Param{Name: name, Required: true, nullable: true})
		}
	}
	return q, nil
}

func suggest(name string, names []string) string {
	if best := nearest.To(name, names, max(1, len(name)/3)); best != "" {
		return fmt.Sprintf(", did you mean %q?", best)
	}
	return ""
}

func suggestParam(name string, params []Param) string {
	var names []string
	for _, p := range params {
		names = append(names, p.Name)
	}
	switch best := nearest.To(name, names, max(1, len(name)/3)); {
	case best != "":
		return fmt.Sprintf(", did you mean %s?", best)
	case len(names) == 0:
		return ", which has none"
	}
	return ", which has " + strings.Join(names, ", ")
}
