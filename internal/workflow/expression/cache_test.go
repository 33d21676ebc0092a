package expression

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestCache(t *testing.T) {
	made := 0
	c := newCache(func(text string) (string, error) {
		if made++; text == "bad" {
			return "", errors.New("bad")
		}
		return text, nil
	})
	get := func(text string, want int) {
		t.Helper()
		if got, err := c.get(text); made != want || (err == nil) != (got == text) {
			t.Errorf("%.20s: %.20s, %v, made %d, want %d", text, got, err, made, want)
		}
	}
	get("a", 1)
	get("a", 1)
	get("bad", 2)
	get("bad", 3)
	long := strings.Repeat("x", cacheText+1)
	get(long, 4)
	get(long, 5)
	for i := range 10 * cacheEntries {
		get(fmt.Sprint(i), 6+i)
		get("a", 6+i) // what is asked for stays
	}
	if n := len(c.young) + len(c.old); n > 2*cacheEntries {
		t.Errorf("%d entries", n)
	}
	for i := range 1000 {
		_, _ = c.get(fmt.Sprintf("%d%s", i, strings.Repeat("x", cacheText-10)))
	}
	if c.bytes > cacheBytes || len(c.young) > 100 {
		t.Errorf("%d bytes of %d", c.bytes, len(c.young))
	}
}

// What is compiled once is evaluated by many, each within bounds of its own.
func TestShared(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 50 {
				got, err := Eval(t.Context(), `repeat("ab", ctx.n) + string(len(filter(1..1000, # > ctx.i)))`, map[string]any{"n": n, "i": i})
				if want := strings.Repeat("ab", n) + fmt.Sprint(1000-i); err != nil || got != want {
					t.Errorf("%v %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// The guard of an evaluation is not to be had.
func TestGuardIsHidden(t *testing.T) {
	got, err := Eval(t.Context(), `$env`, vars)
	if m, _ := got.(map[string]any); err != nil || len(m) != 2 {
		t.Errorf("%v %v", got, err)
	}
	for _, source := range []string{`$env["the guard"]`, `get($env, "the guard")`, `keys($env) | filter(# == "the guard") | first()`} {
		if got, err := Eval(t.Context(), source, vars); err != nil || got != nil {
			t.Errorf("%s = %v, %v", source, got, err)
		}
	}
	for _, source := range []string{`the guard`, `a step()`, `repeat ("x")`, `repeat("x", 1, 2)`} {
		if got, err := Eval(t.Context(), source, vars); err == nil {
			t.Errorf("%s = %v", source, got)
		}
	}
}

func BenchmarkEval(b *testing.B) {
	for b.Loop() {
		if _, err := Eval(b.Context(), `input.n * 2 + len(filter(input.list, # > 1))`, vars); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResolve(b *testing.B) {
	value := map[string]any{"url": "https://example.com/{{input.name}}?n={{input.n + 1}}", "list": []any{"{{input.list}}", "plain"}}
	for b.Loop() {
		if _, err := Resolve(b.Context(), value, vars); err != nil {
			b.Fatal(err)
		}
	}
}
