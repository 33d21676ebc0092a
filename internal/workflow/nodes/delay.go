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

func (delay) Handles(Data) []string { return single }

func (delay) Check(d Data) []Problem {
	switch d.String("delayType") {
	case "", "fixed":
		for _, key := range []string{"delayMinutes", "delaySeconds", "delayMs"} {
			if v, ok := d[key]; ok && !d.hasTemplate(key) {
				if n, ok := toNumber(v); !ok || n < 0 {
					return problem(key, "is not a number of zero or more")
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

func (delay) Run(_ context.Context, call Call) (Result, error) {
	until, err := delayUntil(call)
	if err != nil {
		return Result{}, err
	}
	if until.Sub(call.Now) > maxDelay {
		return Result{}, fmt.Errorf("a delay of %v is longer than a year", until.Sub(call.Now))
	}
	return Result{
		Output:  map[string]any{"delayedUntil": until.UTC().Format(time.RFC3339Nano)},
		Suspend: &Suspension{Until: until},
	}, nil
}

func delayUntil(call Call) (time.Time, error) {
	switch call.Data.String("delayType") {
	case "until":
		return time.Parse(time.RFC3339, call.Data.String("untilTime"))
	case "dynamic":
		value, err := source(call.Source.String("delayVariable"), call.Vars)
		if err != nil {
			return time.Time{}, err
		}
		ms, ok := toNumber(value)
		if !ok || ms < 0 {
			return time.Time{}, fmt.Errorf("delayVariable %s is not a number of milliseconds", strings.TrimSpace(call.Source.String("delayVariable")))
		}
		return call.Now.Add(time.Duration(ms * float64(time.Millisecond))), nil
	}
	var total float64
	for key, unit := range map[string]time.Duration{"delayMinutes": time.Minute, "delaySeconds": time.Second, "delayMs": time.Millisecond} {
		n, ok := call.Data.Number(key)
		if _, given := call.Data[key]; given && (!ok || n < 0) {
			return time.Time{}, fmt.Errorf("%s is not a number of zero or more", key)
		}
		total += n * float64(unit)
	}
	if total > float64(maxDelay) {
		return time.Time{}, fmt.Errorf("the delay is longer than a year")
	}
	return call.Now.Add(time.Duration(total)), nil
}
