package datasource

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A route is what a query of a service is made of.
type route struct {
	method   string
	segments []string // of the path; those that begin with @ are parameters
	fields   []Field
	body     any // decoded JSON, in which a text @name is a parameter; nil is none
}

// methods are those there are, and whether they may change something.
var methods = map[string]bool{"GET": false, "HEAD": false, "POST": true, "PUT": true, "PATCH": true, "DELETE": true}

// prepareREST checks a query of a service.
func (q *query) prepareREST() error {
	r := &route{method: strings.ToUpper(q.Method), fields: q.Fields}
	if r.method == "" {
		r.method = http.MethodGet
	}
	writes, known := methods[r.method]
	switch {
	case q.SQL != "":
		return errors.New("sql: is for databases")
	case !known:
		return fmt.Errorf("method: %q is not one of GET, HEAD, POST, PUT, PATCH, DELETE", q.Method)
	case writes && !q.Write:
		return fmt.Errorf("method: %s may change something: set write: true", r.method)
	case strings.Contains(q.Path+q.Body, "{{"):
		return errors.New("path and body: cannot hold a template: write @name where a value belongs")
	case strings.ContainsAny(q.Path, "?#"):
		return errors.New("path: has a query or a fragment: a query is a list under query")
	}
	var names []string
	for segment := range strings.SplitSeq(strings.TrimPrefix(q.Path, "/"), "/") {
		name, param := strings.CutPrefix(segment, "@")
		if param && identifier.MatchString(name) {
			names = append(names, name)
		} else if strings.Contains(segment, "@") {
			return fmt.Errorf("path: a parameter is a whole segment, such as /orders/@id, and %q is not", segment)
		}
		r.segments = append(r.segments, segment)
	}
	for _, f := range q.Fields {
		if strings.Contains(f.Value, "{{") {
			return errors.New("query: cannot hold a template: write @name where a value belongs")
		}
		if name, param := strings.CutPrefix(f.Value, "@"); param {
			names = append(names, name)
		}
	}
	if q.Body != "" {
		if err := json.Unmarshal([]byte(q.Body), &r.body); err != nil {
			return fmt.Errorf("body: is not JSON: %w", err)
		}
		names = append(names, mentioned(r.body)...)
	}
	q.route = r
	slices.Sort(names)
	return q.uses("path, query and body", slices.Compact(names))
}

// mentioned are the parameters in a body.
func mentioned(v any) (names []string) {
	switch v := v.(type) {
	case string:
		if name, param := strings.CutPrefix(v, "@"); param {
			names = append(names, name)
		}
	case []any:
		for _, item := range v {
			names = append(names, mentioned(item)...)
		}
	case map[string]any:
		for _, item := range v {
			names = append(names, mentioned(item)...)
		}
	}
	return names
}

// path writes every value as one segment. Those that mean another place are
// refused, since no way of writing them keeps servers from going there.
func (r *route) path(values map[string]any) (string, error) {
	var b strings.Builder
	for _, segment := range r.segments {
		if name, param := strings.CutPrefix(segment, "@"); param {
			value := plainText(values[name])
			if value == "" || value == "." || value == ".." {
				return "", stopf("%q cannot be a segment of the path: it is the value of %s", value, name)
			}
			segment = url.PathEscape(value)
		}
		b.WriteString("/" + segment)
	}
	return b.String(), nil
}

// query writes the fields of the address. One whose value is null is left out,
// and a list is several fields of the same name.
func (r *route) query(values map[string]any) string {
	all := url.Values{}
	for _, f := range r.fields {
		name, param := strings.CutPrefix(f.Value, "@")
		switch value := values[name].(type) {
		case []any:
			for _, v := range value {
				all.Add(f.Name, plainText(v))
			}
			continue
		case nil:
			if param {
				continue
			}
		}
		if param {
			all.Add(f.Name, plainText(values[name]))
		} else {
			all.Add(f.Name, f.Value)
		}
	}
	return all.Encode()
}

// fill puts values into a body as what they are.
func fill(v any, values map[string]any) any {
	switch v := v.(type) {
	case string:
		if name, param := strings.CutPrefix(v, "@"); param {
			return values[name]
		}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = fill(v[i], values)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = fill(v[k], values)
		}
		return out
	}
	return v
}

// plainText is a value as it stands in an address.
func plainText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}
