package nodes

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/roomcast/roomcast/internal/workflow/expression"
)

// condition chooses a branch: the first whose conditions hold, else the
// default. Its settings:
//
//	branches       [{id, label, conditionLogic: AND or OR, conditions: [{leftValue, operator, rightValue}]}]
//	               or [{id, condition}], where condition is an expression
//	defaultBranch  the handle when no branch holds (default)
type condition struct{}

func (condition) Pure() bool { return true }

func (condition) Handles(d Data) []string {
	handles := []string{defaultBranch(d)}
	for _, b := range d.List("branches") {
		branch, _ := b.(map[string]any)
		handles = append(handles, Data(branch).String("id"))
	}
	return handles
}

func defaultBranch(d Data) string {
	if name := d.String("defaultBranch"); name != "" {
		return name
	}
	return "default"
}

func (condition) Check(d Data) []Problem {
	branches := d.List("branches")
	if len(branches) == 0 {
		return problem("branches", "is missing")
	}
	for i, b := range branches {
		branch, _ := b.(map[string]any)
		field := fmt.Sprintf("branches[%d]", i)
		if Data(branch).String("id") == "" {
			return problem(field+".id", "is missing")
		}
		if p := checkBranch(field, branch); p != nil {
			return p
		}
	}
	return nil
}

func checkBranch(field string, branch Data) []Problem {
	if source := branch.String("condition"); source != "" {
		if err := expression.Check(unbrace(source)); err != nil {
			return problem(field+".condition", "%v", err)
		}
		return nil
	}
	switch strings.ToUpper(branch.String("conditionLogic")) {
	case "", "AND", "OR":
	default:
		return problem(field+".conditionLogic", "%q is not AND or OR", branch.String("conditionLogic"))
	}
	conditions := branch.List("conditions")
	if len(conditions) == 0 {
		return problem(field+".conditions", "is missing")
	}
	for i, c := range conditions {
		cond, _ := c.(map[string]any)
		field := fmt.Sprintf("%s.conditions[%d]", field, i)
		op := Data(cond).String("operator")
		if operators[op] == nil && op != "expression" {
			return problem(field+".operator", "%q is not one of expression, %s", op, strings.Join(slices.Sorted(maps.Keys(operators)), ", "))
		}
		if op == "expression" {
			if err := expression.Check(unbrace(Data(cond).String("leftValue"))); err != nil {
				return problem(field+".leftValue", "%v", err)
			}
		}
		if pattern, ok := cond["rightValue"].(string); ok && op == "matches_regex" && !strings.Contains(pattern, "{{") {
			if err := expression.CheckPattern(pattern); err != nil {
				return problem(field+".rightValue", "%v", err)
			}
		}
	}
	return nil
}

// unbrace takes the braces off an expression that was written as a template.
func unbrace(s string) string {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "{{") && strings.HasSuffix(s, "}}") {
		return s[2 : len(s)-2]
	}
	return s
}

func (condition) Run(ctx context.Context, call Call) (Result, error) {
	for i, b := range call.Source.List("branches") {
		branch := Data(b.(map[string]any))
		holds, err := branchHolds(ctx, branch, call.Vars)
		if err != nil {
			return Result{}, fmt.Errorf("branches[%d]: %w", i, err)
		}
		if holds {
			return Result{Output: map[string]any{"branch": branch.String("id")}, Handle: branch.String("id")}, nil
		}
	}
	name := defaultBranch(call.Source)
	return Result{Output: map[string]any{"branch": name}, Handle: name}, nil
}

func branchHolds(ctx context.Context, branch Data, vars map[string]any) (bool, error) {
	if source := branch.String("condition"); source != "" {
		value, err := expression.Eval(ctx, unbrace(source), vars)
		return truthy(value), err
	}
	or := strings.EqualFold(branch.String("conditionLogic"), "or")
	for _, c := range branch.List("conditions") {
		holds, err := conditionHolds(ctx, Data(c.(map[string]any)), vars)
		if err != nil {
			return false, err
		}
		if holds == or {
			return or, nil
		}
	}
	return !or, nil
}

func conditionHolds(ctx context.Context, c Data, vars map[string]any) (bool, error) {
	if c.String("operator") == "expression" {
		value, err := expression.Eval(ctx, unbrace(c.String("leftValue")), vars)
		return truthy(value), err
	}
	left, err := expression.Resolve(ctx, c["leftValue"], vars)
	if err != nil {
		return false, err
	}
	right, err := expression.Resolve(ctx, c["rightValue"], vars)
	if err != nil {
		return false, err
	}
	return operators[c.String("operator")](left, right)
}

// operators compare a left and a right value.
var operators = map[string]func(l, r any) (bool, error){
	"equals":           func(l, r any) (bool, error) { return equal(l, r), nil },
	"not_equals":       func(l, r any) (bool, error) { return !equal(l, r), nil },
	"contains":         func(l, r any) (bool, error) { return contains(l, r), nil },
	"not_contains":     func(l, r any) (bool, error) { return !contains(l, r), nil },
	"starts_with":      func(l, r any) (bool, error) { return strings.HasPrefix(text(l), text(r)), nil },
	"ends_with":        func(l, r any) (bool, error) { return strings.HasSuffix(text(l), text(r)), nil },
	"greater_than":     func(l, r any) (bool, error) { return order(l, r, func(c int) bool { return c > 0 }) },
	"less_than":        func(l, r any) (bool, error) { return order(l, r, func(c int) bool { return c < 0 }) },
	"greater_or_equal": func(l, r any) (bool, error) { return order(l, r, func(c int) bool { return c >= 0 }) },
	"less_or_equal":    func(l, r any) (bool, error) { return order(l, r, func(c int) bool { return c <= 0 }) },
	"is_empty":         func(l, _ any) (bool, error) { return empty(l), nil },
	"is_not_empty":     func(l, _ any) (bool, error) { return !empty(l), nil },
	"matches_regex":    matches,
}

func text(v any) string { return expression.Text(v) }

// equal compares numbers as numbers even when one is written as text, since
// forms deliver text; everything else by its value.
func equal(l, r any) bool {
	if ln, ok := toNumber(l); ok {
		if rn, ok := toNumber(r); ok {
			return ln == rn
		}
	}
	if reflect.DeepEqual(l, r) {
		return true
	}
	_, ls := l.(string)
	_, rs := r.(string)
	return (ls || rs) && text(l) == text(r)
}

func contains(l, r any) bool {
	switch v := l.(type) {
	case []any:
		for _, e := range v {
			if equal(e, r) {
				return true
			}
		}
		return false
	case map[string]any:
		_, ok := v[text(r)]
		return ok
	}
	return strings.Contains(text(l), text(r))
}

func order(l, r any, want func(int) bool) (bool, error) {
	ln, lok := toNumber(l)
	rn, rok := toNumber(r)
	switch {
	case lok && rok && ln < rn:
		return want(-1), nil
	case lok && rok && ln > rn:
		return want(1), nil
	case lok && rok:
		return want(0), nil
	}
	_, lok = l.(string)
	_, rok = r.(string)
	if lok && rok {
		return want(strings.Compare(l.(string), r.(string))), nil
	}
	return false, fmt.Errorf("cannot compare %s with %s", text(l), text(r))
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// matches uses Go's regular expressions, which take linear time, and bounds
// both sides.
func matches(l, r any) (bool, error) { return expression.Match(text(l), text(r)) }

func truthy(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case float64:
		return v != 0
	case int:
		return v != 0
	}
	return !empty(v)
}
