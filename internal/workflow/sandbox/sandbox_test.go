package sandbox

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/eventually"
)

var vars = map[string]any{"input": map[string]any{"n": 2.0, "name": "Åda"}, "list": []any{1.0, 2.0, 3.0}}

// patience is how long what is not about time may take on a busy machine.
const patience = time.Minute

func TestScripts(t *testing.T) {
	s := New(Options{})
	for code, want := range map[string]any{
		"":                                nil,
		"return":                          nil,
		"return null":                     nil,
		"return input.n * 2":              4.0,
		"return ctx.input.name":           "Åda",
		"return ctx.list.map(x => x * x)": []any{1.0, 4.0, 9.0},
		"return {a: [1, {b: null}]}":      map[string]any{"a": []any{1.0, map[string]any{"b": nil}}},
		"return await Promise.resolve(7)": 7.0,
		"return (async () => { await null; return 'later' })()":                     "later",
		"// a comment\nreturn 1 // and another":                                     1.0,
		"'use strict'; return this === undefined":                                   true,
		"console.log('a', {}); console.error('b'); return 1":                        1.0,
		"let s = 0; for (const x of ctx.list) s += x; return s":                     6.0,
		"return new Date(0).toISOString()":                                          "1970-01-01T00:00:00.000Z",
		"return Math.abs(Date.now() - new Date()) < 1000":                           true,
		"return 'line\u2028\\u0000\"'":                                              "line\u2028\x00\"",
		"const r = Math.random(); return r >= 0 && r < 1 && r !== Math.random()":    true,
		"JSON.stringify = Array.prototype.map = Promise = undefined; return [1]":    []any{1.0},
		"return typeof ctx.input.missing":                                           "undefined",
		"return [undefined, NaN]":                                                   []any{nil, nil},
		"function depth(n) { return n ? 1 + depth(n - 1) : 0 }; return depth(1000)": 1000.0,
	} {
		if got, err := s.Run(t.Context(), code, vars, 0); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %#v, %v, want %#v", code, got, err, want)
		}
	}
}

func TestErrors(t *testing.T) {
	s := New(Options{})
	for code, want := range map[string]string{
		"let a = 1\n\nthrow new Error('no')":                   "Error: no (line 3)",
		"let a = {}\n\na.foo()":                                "TypeError: not a function (line 3)",
		"let a = {}\nfunction f(x) {\n  return x.b.c\n}\nf(a)": "TypeError: cannot read property 'c' of undefined (line 2 or below)",
		"return zork":                  "ReferenceError: zork is not defined (line 1 or below)",
		"let a = 1\nlet b = ;":         "SyntaxError: unexpected token in expression: ';' (line 2)",
		"return 1 +":                   "SyntaxError: unexpected token in expression: '}' (line 2)",
		"throw 'text'":                 "text",
		"throw {code: 7}":              `{"code":7}`,
		"throw null":                   "null",
		"throw {toJSON() { throw 1 }}": "the script throws something that cannot be read",
		"class Odd extends Error { name = 'Odd' }; await null; throw new Odd('x')": "Odd: x (line 1)",
		"await Promise.reject(new RangeError('r'))":                                "RangeError: r (line 1)",
		"return () => 1":                    "TypeError: the script returns a function, which is not JSON",
		"return {a: {b: Symbol.iterator}}":  "TypeError: the script returns a symbol, as b, which is not JSON",
		"return [10n]":                      "TypeError: the script returns a BigInt, as 0, which is not JSON",
		"const a = {}; a.a = a; return a":   "TypeError: circular reference",
		"await new Promise(() => {})":       "the script waits for something that never happens",
		"setTimeout(() => {}, 1)":           "ReferenceError: setTimeout is not defined (line 1 or below)",
		"return require('fs')":              "ReferenceError: require is not defined (line 1 or below)",
		"return process.env":                "ReferenceError: process is not defined (line 1 or below)",
		"return fetch('http://127.0.0.1')":  "ReferenceError: fetch is not defined (line 1 or below)",
		"return std":                        "ReferenceError: std is not defined (line 1 or below)",
		"x\x00":                             "the code has a NUL character",
		strings.Repeat("x", maxCode+1):      "the code is longer than 100000 bytes",
		"(await import('qjs:std')).exit(0)": "the script broke the interpreter: module closed with exit_code(0)",
		"return import('/etc/passwd')":      "ReferenceError: could not load module filename '/etc/passwd'",
	} {
		got, err := s.Run(t.Context(), code, vars, patience)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.80q: %v, %v, want %s", code, got, err, want)
		}
	}
}

// What the interpreter has besides the language reaches nothing.
func TestNothingOutside(t *testing.T) {
	s := New(Options{})
	got, err := s.Run(t.Context(), `
		const std = await import('qjs:std'), os = await import('qjs:os')
		const begun = Date.now()
		os.sleep(10_000_000)
		return {
			read: std.loadFile('/etc/passwd'), open: std.open('/etc/passwd', 'r'), write: std.open('x', 'w'), dir: os.readdir('/')[0].length,
			mkdir: os.mkdir('x'), env: Object.keys(std.getenviron()), stdin: std.in.getline(), stdout: std.out.puts('x'), slept: Date.now() - begun > 60_000,
		}`, vars, patience)
	m, _ := got.(map[string]any)
	if err != nil || m["read"] != nil || m["open"] != nil || m["write"] != nil || m["dir"] != 0.0 || m["mkdir"].(float64) >= 0 ||
		len(m["env"].([]any)) != 0 || m["stdin"] != nil || m["slept"] != false {
		t.Errorf("%v %v", got, err)
	}
}

// A script finds nothing of the one before, and all random numbers differ.
func TestFresh(t *testing.T) {
	s := New(Options{Parallel: 1})
	seen := map[any]bool{}
	for range 5 {
		got, err := s.Run(t.Context(), `
			const found = [globalThis.left, Array.prototype.left].join()
			globalThis.left = Array.prototype.left = ctx.left = 'secret'
			return found + Math.random()`, vars, 0)
		if err != nil || seen[got] || !strings.HasPrefix(got.(string), ",0.") {
			t.Errorf("%v %v", got, err)
		}
		seen[got] = true
	}
	if vars["left"] != nil {
		t.Error("a script has changed the variables of the run")
	}
}

// Each is stopped by its limit and says so, and a script beside them is not
// disturbed. Afterwards everything is as before.
func TestBombs(t *testing.T) {
	const depth, memory, late = "the script calls itself too deeply", "the script needs more than 8 MiB of memory", "the script takes longer than 200ms"
	s := New(Options{MaxTime: patience, MaxMemory: MinMemory, Parallel: 3})
	if _, err := s.Run(t.Context(), "return 1", vars, 0); err != nil {
		t.Fatal(err)
	}
	beside, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for beside.Err() == nil {
			if got, err := s.Run(beside, "return ctx.list.length", vars, patience); beside.Err() == nil && (err != nil || got != 3.0) {
				t.Errorf("beside: %v %v", got, err)
				return
			}
		}
	})
	goroutines, rss := runtime.NumGoroutine(), resident(t)
	for code, want := range map[string]string{
		"while (true) {}":     late,
		"for (;;) await null": late,
		"const f = () => Promise.resolve().then(f); await f()":                                          late + "|" + memory,
		"const again = async () => { again(); await null }; for (;;) await again()":                     depth,
		"return /(a*)*b/.test('a'.repeat(40))":                                                          late,
		"return /^(([a-z])+.)+[A-Z]([a-z])+$/.test('a'.repeat(60))":                                     late,
		"try { while (true) {} } finally { while (true) {} }":                                           late,
		"return 'x'.repeat(1 << 20).split('').sort(() => { while (true) {} })":                          late + "|" + memory,
		"return new Promise(resolve => { while (true) {} })":                                            late,
		"const p = new Proxy({}, {get() { while (true) {} }}); return p.x":                              late,
		"return {toJSON() { while (true) {} }}":                                                         late,
		"throw {get message() { while (true) {} }, toJSON() { while (true) {} }}":                       late,
		"const os = await import('qjs:os'); for (;;) os.sleep(1e9)":                                     late,
		"const os = await import('qjs:os'); os.setTimeout(() => {}, 1e12); await new Promise(() => {})": "the script waits for something that never happens",
		"const a = []; while (true) a.push({})":                                                         memory,
		"const a = []; while (true) a.push(new Uint8Array(1 << 20))":                                    memory,
		"return new Uint8Array(1 << 30).length":                                                         memory,
		"return new ArrayBuffer(2 ** 31 - 1).byteLength":                                                memory,
		"return Array(1e8).fill(0).length":                                                              memory,
		"return 'x'.repeat(2 ** 29)":                                                                    memory,
		"let s = 'x'; while (true) { s += s }":                                                          memory,
		"let s = 'x'; while (true) { s += s; try { s.at(-1) } catch {} }":                               memory,
		"let o = {}; for (let i = 0; ; i++) o['k' + i] = i":                                             memory + "|" + late,
		"return 2n ** 10000000000n":                                                                     memory + "|RangeError: BigInt is too large",
		"throw new Error('x'.repeat(1e8))":                                                              memory,
		"const f = () => f(); f()":                                                                      depth,
		"const f = () => 1 + f(); return f()":                                                           depth,
		"const f = () => [1].map(f); return f()":                                                        depth,
		"try { (function f() { f() })() } catch {} return 1":                                            depth,
		"const o = {get x() { return this.x }}; return o.x":                                             depth,
		"const o = {toString() { return '' + this }}; return '' + o":                                    depth,
		"const p = new Proxy({}, {get(t, k, r) { return r[k] }}); return p.x":                           depth,
		"class A { constructor() { new A() } } new A()":                                                 depth,
		"return eval('('.repeat(50000))":                                                                depth,
		"return eval('['.repeat(50000))":                                                                depth,
		"return new RegExp('('.repeat(20000) + ')'.repeat(20000))":                                      depth + "|SyntaxError",
		"let a = []; for (let i = 0; i < 50000; i++) a = [a]; return a":                                 late,
		"let a = []; for (let i = 0; i < 50000; i++) a = [a]; return a.flat(Infinity)":                  depth,
	} {
		timeout := 200 * time.Millisecond
		if !strings.Contains(want, late) {
			timeout = patience
		}
		got, err := s.Run(t.Context(), code, vars, timeout)
		if err == nil || !matchesAny(err.Error(), want) {
			t.Errorf("%s\n\t%.60v, %v, want %s", code, got, err, want)
		}
	}
	stop()
	wg.Wait()
	eventually.True(t, func() bool { return runtime.NumGoroutine() <= goroutines })
	if now := resident(t); now > rss+64<<20 {
		t.Errorf("%d MiB resident, %d before", now>>20, rss>>20)
	}
}

func matchesAny(got, want string) bool {
	for _, w := range strings.Split(want, "|") {
		if strings.HasPrefix(got, w) {
			return true
		}
	}
	return false
}

// resident is the memory of the process once it has given back what it can.
func resident(t *testing.T) uint64 {
	t.Helper()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys - m.HeapReleased
}

func TestHugeVariables(t *testing.T) {
	s := New(Options{MaxMemory: MinMemory})
	for name, value := range map[string]any{"text": strings.Repeat("x", 4<<20), "list": make([]any, 400_000), "nested": nested(1_600_000)} {
		got, err := s.Run(t.Context(), "return ctx.x.length", map[string]any{"x": value}, 0)
		if err == nil || !strings.Contains(err.Error(), "the variables of the run do not fit into the memory of a script, 8 MiB") {
			t.Errorf("%s: %.60v %v", name, got, err)
		}
	}
	if got, err := s.Run(t.Context(), "return ctx.x.length", map[string]any{"x": strings.Repeat("x", 1<<20)}, 0); got != float64(1<<20) {
		t.Error(got, err)
	}
}

func nested(bytes int) any {
	list := []any{}
	for range bytes / 10 {
		list = append(list, map[string]any{"a": "b"})
	}
	return list
}

func TestHugeResults(t *testing.T) {
	s := New(Options{MaxTime: patience})
	for _, code := range []string{
		"return 'x'.repeat(5 << 20)", "throw new Error('x'.repeat(5 << 20))",
	} {
		got, err := s.Run(t.Context(), code, nil, patience)
		if err == nil || !matchesAny(err.Error(), "the script returns more than 4194304 bytes, as JSON|Error: xxx") || len(err.Error()) > 2000 {
			t.Errorf("%s: %.60v %.60v", code, got, err)
		}
	}
	if got, err := s.Run(t.Context(), "return 'x'.repeat(4_000_000)", nil, patience); err != nil || len(got.(string)) != 4_000_000 {
		t.Errorf("%.60v %v", got, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := New(Options{Parallel: 2})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			got, err := s.Run(t.Context(), "let n = 0; for (let i = 0; i < 1000; i++) n += ctx.i; return n", map[string]any{"i": i}, 0)
			if err != nil || got != float64(1000*i) {
				t.Errorf("%d: %v %v", i, got, err)
			}
		})
	}
	wg.Wait()
}

// Whoever is stopped, running or waiting for a place, ends at once.
func TestStopped(t *testing.T) {
	s := New(Options{Parallel: 1})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if got, err := s.Run(ctx, "while (true) {}", nil, 0); !errors.Is(err, context.Canceled) {
				t.Errorf("%v %v", got, err)
			}
		})
	}
	for len(s.running) == 0 {
		runtime.Gosched()
	}
	cancel()
	wg.Wait()
	if got, err := s.Run(t.Context(), "return 1", nil, 0); got != 1.0 {
		t.Error(got, err)
	}
}

func TestCheck(t *testing.T) {
	s := New(Options{Parallel: 1})
	s.running <- struct{}{} // scripts do not hold up a check
	for code, want := range map[string]string{
		"return await 1":                 "",
		"while (true) {}":                "",
		"}); while (true) {}; (() => {":  "",
		"return 1\nreturn )":             "SyntaxError: unexpected token in expression: ')' (line 2)",
		strings.Repeat("(", maxCode-100): "the script calls itself too deeply",
	} {
		err := s.Check(t.Context(), code)
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%.40q: %v, want %s", code, err, want)
		}
	}
}

func TestMovedStack(t *testing.T) {
	if _, err := moveStack([]byte("another module")); err == nil {
		t.Error("a stack was found where none is")
	}
}

func BenchmarkRun(b *testing.B) {
	s := New(Options{})
	run := func(b *testing.B) {
		if _, err := s.Run(b.Context(), "return input.n * 2", vars, 0); err != nil {
			b.Fatal(err)
		}
	}
	run(b)
	b.ReportAllocs()
	for b.Loop() {
		run(b)
	}
}

func BenchmarkLoop(b *testing.B) {
	s := New(Options{})
	for b.Loop() {
		if _, err := s.Run(b.Context(), "let n = 0; for (let i = 0; i < 100000; i++) n += i; return n", vars, 0); err != nil {
			b.Fatal(err)
		}
	}
}
