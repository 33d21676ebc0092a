package expression

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// bombs are expressions that would take all memory, or never end, and what
// stops them. ctx.long is a text of 1 MiB, ctx.list has 100,000 numbers.
var bombs = map[string]error{
	// Ranges, and functions with a condition over them.
	`1..1000000000`:                                     errBudget,
	`1..9223372036854775807`:                            errBudget,
	`len(1..1000000000)`:                                errBudget,
	`map(1..10000000, #)`:                               errBudget,
	`filter(1..1000000000, true)`:                       errBudget,
	`reduce(1..1000000000, #acc + #, 0)`:                errBudget,
	`sum(1..1000000000, # * 2)`:                         errBudget,
	`groupBy(1..1000000000, # % 2)`:                     errBudget,
	`sortBy(1..1000000000, -#)`:                         errBudget,
	`count(1..1000000000, # in 1..1000000000)`:          errBudget,
	`let a = 1..900; all(a, all(a, all(a, true)))`:      errSteps,
	`reduce(ctx.list, #acc + count(ctx.list, true), 0)`: errSteps,
	`uniq(ctx.list)`:                                    errSteps,

	// Depth, of the source and of what it makes.
	nest("all(ctx.list, ", "true", 5):                           fmt.Errorf("nested more than 4 deep"),
	strings.Repeat("(", maxLength+1):                            fmt.Errorf("longer than 10000 bytes"),
	strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 4999): fmt.Errorf("unexpected token EOF"),
	strings.Repeat("[", 4999) + strings.Repeat("]", 4999):       errNesting,
	strings.Repeat("!", 9000):                                   fmt.Errorf("unexpected token EOF"),
	`reduce(1..50000, [#acc], [])`:                              errNesting,
	`toJSON(reduce(1..50000, [#acc], []))`:                      errNesting,
	`string(reduce(1..50000, ({"a": #acc}), {}))`:               errNesting,
	`flatten(reduce(1..50000, [#acc], []))`:                     errNesting,

	// Text.
	`repeat("x", 100000000)`:                                            errMemory,
	`repeat("x", 9223372036854775807)`:                                  errMemory,
	`repeat(ctx.long, 17)`:                                              errMemory,
	`repeat(repeat("x", 1000000), 1000000)`:                             errMemory,
	`let a = ctx.long; let b = a+a+a+a+a; let c = b+b+b+b+b; c+c+c+c+c`: errMemory,
	`reduce(1..100, #acc + #acc, "x")`:                                  errMemory,
	`reduce(1..100000, #acc + "x", ctx.long)`:                           errMemory,
	`replace(ctx.long, "x", ctx.long)`:                                  errMemory,
	`replace(ctx.long, "", ctx.long)`:                                   errMemory,
	`join(map(1..100000, "x"), ctx.long)`:                               errMemory,
	`join(split(ctx.long, ""), ctx.long)`:                               errMemory,
	`toJSON(map(1..100000, ctx.long))`:                                  errMemory,
	`string(map(1..100000, ctx.long))`:                                  errMemory,
	`map(1..100000, toBase64(ctx.long))`:                                errMemory,
	`map(1..100000, now().Format(ctx.long))`:                            errMemory,
	`map(1..100000, trim(ctx.long) + "x")`:                              errMemory,
	`groupBy(1..100000, ctx.long + "x")`:                                errMemory,
	`map(1..100000, ctx.long)`:                                          errResult,
	`{"a": ctx.long, "b": [ctx.long, ctx.long, ctx.long, ctx.long]}`:    errResult,

	// Lists.
	`map(1..100000, sort(ctx.list))`:                                                 errBudget,
	`map(1..100000, split(ctx.long, ""))`:                                            errMemory,
	`map(1..100000, splitAfter(ctx.long, "x"))`:                                      errMemory,
	`fromJSON(repeat("[],", 3000000) + "[]")`:                                        errMemory,
	`fromJSON("[" + repeat("[],", 1500000) + "[]]")`:                                 errMemory,
	`fromJSON(repeat("[", 100000))`:                                                  fmt.Errorf("exceeded max depth"),
	`concat(` + strings.Repeat("ctx.list,", 1000) + `[])`:                            errMemory,
	`reduce(1..100, concat(#acc, #acc), [1])`:                                        errMemory,
	`reduce(1..100, [#acc, #acc], [1])`:                                              errResult,
	`let a = map(1..100, ctx.list); let b = map(1..100, a); flatten(map(1..100, b))`: errSteps,

	// Numbers, dates and bits: nothing to build, and mistakes are errors.
	`1 % 0`:               fmt.Errorf("integer divide by zero"),
	`bitshl(1, -1)`:       fmt.Errorf("negative shift count"),
	`date("x", ctx.long)`: fmt.Errorf("cannot parse"),
	`duration(ctx.long)`:  fmt.Errorf("invalid duration"),
	`date("2026-01-01", "2006-01-02", "../../etc/passwd")`: fmt.Errorf("time: invalid location name"),
	`timezone("/etc/passwd")`:                              fmt.Errorf("time: invalid location name"),
	`int(ctx.long)`:                                        fmt.Errorf("invalid operation: int("),

	// Regular expressions.
	`ctx.long matches "(a{1000}){1000}"`: fmt.Errorf("invalid repeat count"),
	`ctx.long matches "(a{100}){10}(a{100}){10}(a{100}){10}(a{100}){10}(a{100}){10}(a{100}){10}"`: fmt.Errorf("it repeats too much"),
	`ctx.long matches repeat("a{999}", 100)`:                                                      fmt.Errorf("it repeats too much"),
	`ctx.long matches repeat("a", 1001)`:                                                          fmt.Errorf("longer than 1000 bytes"),
	`ctx.long matches "` + strings.Repeat(`[^x]{1000}`, 900) + `"`:                                fmt.Errorf("longer than 1000 bytes"),
	`ctx.long matches "` + strings.Repeat("(", 900) + `"`:                                         fmt.Errorf("missing closing )"),
	`ctx.long matches "(x?){500}x{500}y"`:                                                         errMatching,
	`all(ctx.list, not (ctx.long matches ("y" + string(#) + "$")))`:                               errMatching,
}

// slow are expressions whose single steps take long.
var slow = []string{
	`all(ctx.list, ctx.list == ctx.list)`,
	`all(ctx.list, # not in ctx.texts)`,
	`all(ctx.list, indexOf(ctx.long, "y") < 0)`,
	`all(ctx.list, not (ctx.long contains "xy"))`,
	`all(ctx.list, median(ctx.list) > 0)`,
	`all(1..900000, timezone("Europe/Berlin") != nil)`,
	`let a = reduce(1..30000, [#acc], []); let b = reduce(1..30000, [#acc], []); all(1..700000, a == b)`,
	`any(1..900000, "x" matches string(#))`,
}

// errBudget is the language's own limit, on the elements of lists it makes.
var errBudget = fmt.Errorf("memory budget exceeded")

func bombVars() map[string]any {
	list, texts := make([]any, 100_000), make([]any, 100_000)
	for i := range list {
		list[i], texts[i] = i, fmt.Sprint(i)
	}
	return map[string]any{"long": strings.Repeat("x", 1<<20), "list": list, "texts": texts}
}

// Each is stopped, soon, and the error says which limit it was.
func TestBombs(t *testing.T) {
	vars := bombVars()
	for source, want := range bombs {
		start := time.Now()
		v, err := Eval(t.Context(), source, vars)
		if err != nil && strings.Contains(err.Error(), errTime.Error()) {
			want = errTime // which comes first on a slow machine
		}
		if err == nil || !strings.Contains(err.Error(), want.Error()) || strings.ContainsAny(err.Error(), "\n") {
			t.Errorf("%.90s\n\tgot %.60v, %v\n\twant %v", source, v, err, want)
		}
		if took := time.Since(start); took > 10*maxTime {
			t.Errorf("%.90s took %v", source, took)
		}
	}
}

func TestTime(t *testing.T) {
	vars := bombVars()
	start := time.Now()
	if v, err := Eval(t.Context(), slow[0], vars); err == nil || !strings.Contains(err.Error(), errTime.Error()) {
		t.Errorf("%v %v", v, err)
	}
	if took := time.Since(start); took > 10*maxTime {
		t.Errorf("took %v", took)
	}
	for _, source := range slow {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		start := time.Now()
		if v, err := Eval(ctx, source, vars); err == nil || !strings.Contains(err.Error(), "the evaluation was stopped") {
			t.Errorf("%.90s: %v %v", source, v, err)
		}
		if took := time.Since(start); took > 10*maxTime {
			t.Errorf("%.90s took %v", source, took)
		}
		cancel()
	}
}

func TestBombsInTemplates(t *testing.T) {
	vars := bombVars()
	list := make([]any, 1000)
	for i := range list {
		list[i] = "{{ctx.long}}"
	}
	var nested any = "{{ctx.long}}"
	for range maxNesting + 1 {
		nested = []any{nested}
	}
	for name, tt := range map[string]struct {
		value any
		want  error
	}{
		"many in one text":  {strings.Repeat("{{ctx.long}} ", 1000), errMemory},
		"many in one value": {map[string]any{"a": list}, errResult},
		"many long ones":    {strings.Repeat("{{all(ctx.list, true)}}", 20), fmt.Errorf("the expression ")}, // errSteps, or errTime on a slow machine
		"nested":            {nested, errNesting},
		"open":              {strings.Repeat("{{", 100_000), fmt.Errorf("template is not closed")},
	} {
		v, err := Resolve(t.Context(), tt.value, vars)
		if err == nil || !strings.Contains(err.Error(), tt.want.Error()) || len(err.Error()) > 1000 {
			t.Errorf("%s: %.60v, %v, want %v", name, v, err, tt.want)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		text, pattern string
		want          bool
	}{
		{"order-17", `^order-\d+$`, true},
		{"order-x", `^order-\d+$`, false},
		{"", "", true},
		{"ÄÖ", "(?i)^äö$", true},
		{strings.Repeat("x", 1<<20) + "y", "y$", true},
		{"ada@example.com", `^[a-zA-Z0-9._%+-]{1,64}@[a-zA-Z0-9.-]{1,255}\.[a-zA-Z]{2,63}$`, true},
	} {
		if got, err := Match(tt.text, tt.pattern); err != nil || got != tt.want {
			t.Errorf("%.40q matches %q: %v %v", tt.text, tt.pattern, got, err)
		}
	}
	// A twelfth of what the limit lets pass.
	start := time.Now()
	if _, err := Match(strings.Repeat("x", 6_000), "(x?x?x?x?x?){100}y"); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 10*maxTime {
		t.Errorf("took %v", took)
	}
	for _, source := range []string{`nil matches "a"`, `"b" matches nil`, `ctx.x matches "a"`, `"b" matches "a"`, `not ("a" matches "a")`} {
		if got, err := Eval(t.Context(), source, nil); got != false {
			t.Errorf("%s = %v, %v", source, got, err)
		}
	}
	for _, source := range []string{`1 matches "a"`, `"a" matches 1`, `"a" matches "["`, `ctx.n matches "a"`, `"a" matches ctx.n`} {
		if got, err := Eval(t.Context(), source, map[string]any{"n": 1}); err == nil {
			t.Errorf("%s = %v", source, got)
		}
	}
	if err := Check(`"a" matches "["`); err == nil || !strings.Contains(err.Error(), "missing closing ]") {
		t.Error(err)
	}
}
