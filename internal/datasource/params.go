package datasource

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The values that backends bind are nil, string, bool, json.Number, []any and
// json.RawMessage, which is JSON as such.

// types are those of parameters.
var types = []string{"string", "number", "integer", "boolean", "array", "json"}

var identifier = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// Parameters that the server fills in. What a workflow says about them is not
// asked, so a query can rely on them.
const (
	paramTenant = "runTenant" // whose run it is
	paramUser   = "runUser"   // who started it
	paramKey    = "runKey"    // the same when the query is repeated after a crash
)

var builtin = []string{paramTenant, paramUser, paramKey}

// number is what a text must look like to be bound as one.
var number = regexp.MustCompile(`^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$`)

// accept returns a value as the type of the parameter. Forms deliver text, so
// text that says a number is one.
func (p Param) accept(v any) (any, error) {
	if v == nil {
		if p.Required && !p.nullable {
			return nil, fmt.Errorf("is null, and is required")
		}
		return nil, nil
	}
	var ok bool
	out := v
	switch p.Type {
	case "string":
		out, ok = text(v)
	case "number":
		out, ok = numeric(v)
	case "integer":
		if out, ok = numeric(v); ok {
			ok = integral(string(out.(json.Number)))
		}
	case "boolean":
		out, ok = boolean(v)
	case "array":
		out, ok = list(v)
	case "json":
		out, ok = document(v)
	default:
		out, ok = plain(v)
	}
	if !ok {
		return nil, fmt.Errorf("is not of the type %s", p.Type)
	}
	return out, nil
}

// plain binds a value as what it is.
func plain(v any) (any, bool) {
	switch v := v.(type) {
	case string, bool:
		return v, true
	case map[string]any:
		return document(v)
	case []any:
		return v, true
	}
	return numeric(v)
}

func text(v any) (any, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	}
	n, ok := numeric(v)
	if !ok {
		return nil, false
	}
	return string(n.(json.Number)), true
}

// numeric keeps the digits of a text: decimals may have more than a float64.
func numeric(v any) (any, bool) {
	switch n := v.(type) {
	case string:
		n = strings.TrimSpace(n)
		return json.Number(n), number.MatchString(n)
	case json.Number:
		return n, true
	case int:
		return json.Number(strconv.Itoa(n)), true
	case int64:
		return json.Number(strconv.FormatInt(n, 10)), true
	case float64:
		return json.Number(strconv.FormatFloat(n, 'f', -1, 64)), !math.IsNaN(n) && !math.IsInf(n, 0)
	}
	return nil, false
}

func integral(n string) bool {
	_, err := strconv.ParseInt(n, 10, 64)
	return err == nil
}

func boolean(v any) (any, bool) {
	if s, ok := v.(string); ok {
		b, err := strconv.ParseBool(strings.TrimSpace(s))
		return b, err == nil
	}
	b, ok := v.(bool)
	return b, ok
}

// list takes a list, or text that is one in JSON.
func list(v any) (any, bool) {
	if s, ok := v.(string); ok {
		var l []any
		err := json.Unmarshal([]byte(s), &l)
		return l, err == nil && l != nil
	}
	l, ok := v.([]any)
	return l, ok
}

func document(v any) (any, bool) {
	if s, ok := v.(string); ok && json.Valid([]byte(s)) {
		return json.RawMessage(s), true
	}
	raw, err := json.Marshal(v)
	return json.RawMessage(raw), err == nil
}

// bind matches the values of a request to the parameters of a query. With
// later, values that hold templates are taken for good.
func (q *query) bind(r Request, later bool) (map[string]any, *Problem) {
	for name := range r.Args {
		if !slices.ContainsFunc(q.Params, func(p Param) bool { return p.Name == name }) {
			return nil, &Problem{"args." + name, "is not a parameter of " + q.String() + suggestParam(name, q.Params)}
		}
	}
	values := make(map[string]any, len(q.Params))
	for _, p := range q.Params {
		v, given := r.Args[p.Name]
		switch s, _ := v.(string); {
		case given && later && strings.Contains(s, "{{"):
			continue
		case !given && p.Default != nil:
			v = p.Default
		case !given && p.Required:
			return nil, &Problem{"args." + p.Name, "is missing: " + q.String() + " needs it"}
		}
		value, err := p.accept(v)
		if err != nil {
			return nil, &Problem{"args." + p.Name, err.Error()}
		}
		values[p.Name] = value
	}
	for _, name := range q.builtin {
		values[name] = map[string]string{paramTenant: r.Tenant, paramUser: r.User, paramKey: r.Key}[name]
	}
	return values, nil
}
