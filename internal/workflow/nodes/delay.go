package nodes

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// delay waits. Its settings:
//
//	delayType                            fixed (default), dynamic or until
//	delayMinutes, delaySeconds, delayMs  of fixed, added up
//	delayVariable                        of dynamic: a variable that holds milliseconds
//	untilTime                            of until: a moment in ISO 8601
type delay struct{}

// maxDelay bounds a wait: longer ones are mistakes of unit.
const maxDelay = 366 * 24 * time.Hour

// fixed are the settings of a fixed delay.
var fixed = []struct {
	key  string
	unit time.Duration
}{{"delayMinutes", time.Minute}, {"delaySeconds", time.Second}, {"delayMs", time.Millisecond}}

func (delay) Pure() bool { return true }

func (delay) Handles(Data) []string { return single }

func (delay) Check(d Data) []Problem {
	switch d.String("delayType") {
	case "", "fixed":
		for _, f := range fixed {
			if d[f.key] != nil && !d.hasTemplate(f.key) {
				n, ok := d.Number(f.key)
				switch {
				case !ok || n < 0:
					return problem(f.key, "is not a number of zero or more")
				case duration(n, f.unit, maxDelay) == maxDelay:
					return problem(f.key, "is not less than %v, which is a year", maxDelay)
				}
			}
		}
	case "dynamic":
		if d.String("delayVariable") == "" {
			return problem("delayVariable", "is missing")
		}
	case "until":
		if _, err := time.Parse(time.RFC3339, d.String("untilTime")); err != nil && !d.hasTemplate("untilTime") {
			return problem("untilTime", "is not a moment in ISO 8601, such as 2026-01-02T15:04:05Z")
		}
	default:
		return problem("delayType", "%q is not one of fixed, dynamic, until", d.String("delayType"))
	}
	return nil
}

func (delay) Run(ctx context.Context, call Call) (Result, error) {
	until, err := delayUntil(ctx, call)
	if err != nil {
		return Result{}, err
	}
	if until.Sub(call.Now) > maxDelay {
		return Result{}, fmt.Errorf("the delay is longer than a year")
	}
	return Result{
		Output:  map[string]any{"delayedUntil": until.UTC().Format(time.RFC3339Nano)},
		Suspend: &Suspension{Until: until},
	}, nil
}

func delayUntil(ctx context.Context, call Call) (time.Time, error) {
	switch call.Data.String("delayType") {
	case "until":
		return time.Parse(time.RFC3339, call.Data.String("untilTime"))
	case "dynamic":
		value, err := source(ctx, call.Source.String("delayVariable"), call.Vars)
		if err != nil {
			return time.Time{}, err
		}
		ms, ok := toNumber(value)
		if !ok || ms < 0 {
			return time.Time{}, fmt.Errorf("delayVariable %s is not a number of milliseconds", strings.TrimSpace(call.Source.String("delayVariable")))
		}
		return call.Now.Add(duration(ms, time.Millisecond, maxDelay+1)), nil
	}
	until := call.Now
	for _, f := range fixed {
		n, ok := call.Data.Number(f.key)
		if call.Data[f.key] != nil && (!ok || n < 0) {
			return time.Time{}, fmt.Errorf("%s is not a number of zero or more", f.key)
		}
		until = until.Add(duration(n, f.unit, maxDelay+1))
	}
	return until, nil
}
