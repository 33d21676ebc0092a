package durability

import "fmt"

// A kind is a workflow of the load.
type kind struct {
	name     string
	weight   int // how many of a hundred runs or so are of it
	most     int // how many may go on at once; 0 is no bound
	variants int // inputs that it is run with: n from 0
	nodes    []node
	edges    []edge
	// answer is what a request for input is answered with; nil if there is none.
	answer func(n int) map[string]any
}

type node = map[string]any

type edge = map[string]string

// definition is what the workflow is created with.
func (k kind) definition() map[string]any {
	return map[string]any{"title": k.name, "definition": map[string]any{"nodes": k.nodes, "edges": k.edges}}
}

// typeOf returns the types of the nodes by their ids.
func (k kind) typeOf() map[string]string {
	types := map[string]string{}
	for _, n := range k.nodes {
		types[n["id"].(string)] = n["type"].(string)
	}
	return types
}

func step(id, typ string, data map[string]any) node {
	if data == nil {
		data = map[string]any{}
	}
	return node{"id": id, "type": typ, "data": data}
}

func start() node { return step("start", "start", nil) }

// end is an end node with the named variables as the output.
func end(variables ...string) node {
	out := []map[string]string{}
	for _, v := range variables {
		out = append(out, map[string]string{"name": v, "sourceVariable": v})
	}
	return step("end", "end", map[string]any{"outputParameters": out})
}

func wait(id string, ms any) node { return step(id, "delay", map[string]any{"delayMs": ms}) }

func compute(id, expression string) node {
	return step(id, "transform", map[string]any{"expression": expression, "outputVariable": id})
}

// call is an http node that says to the recorder which execution it is of.
// pass is the text that tells passes of loops apart, query what the recorder is
// to do, and more are further settings.
func call(recorder, id, pass, query string, more map[string]any) node {
	data := map[string]any{
		"url": recorder + "/?" + query, "method": "POST", "outputVariable": id,
		"headers": map[string]string{keyHeader: "{{input.key}}|" + id + "|" + pass},
		"body":    map[string]string{"n": "{{input.n}}"},
	}
	for k, v := range more {
		data[k] = v
	}
	return step(id, "http", data)
}

func repeat(id, source, index string, more map[string]any) node {
	data := map[string]any{"sourceVariable": source, "indexVariable": index, "itemVariable": id + "Item", "outputVariable": id + "Results"}
	for k, v := range more {
		data[k] = v
	}
	return step(id, "loop", data)
}

// path connects nodes one after the other.
func path(ids ...string) (edges []edge) {
	for i := 1; i < len(ids); i++ {
		edges = append(edges, edge{"id": ids[i-1] + "-" + ids[i], "source": ids[i-1], "target": ids[i]})
	}
	return edges
}

// by connects two nodes by a handle of the first.
func by(handle, from, to string) edge {
	return edge{"id": from + "-" + handle + "-" + to, "source": from, "target": to, "sourceHandle": handle}
}

func join(parts ...[]edge) (all []edge) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func handling(how string) map[string]any { return map[string]any{"errorHandling": how} }

// kinds are the workflows of the load that run no other; see parent.
func kinds(recorder string) []kind {
	const index, nested = "{{ctx.index}}", "{{ctx.outer}}.{{ctx.inner}}"
	return []kind{
		{
			name: "three nodes", weight: 15, variants: 2,
			nodes: []node{start(), compute("double", "input.n * 2"), end("double")},
			edges: path("start", "double", "end"),
		},
		{
			name: "http", weight: 15, variants: 2,
			nodes: []node{start(), call(recorder, "call", "", "", nil), end("call")},
			edges: path("start", "call", "end"),
		},
		{
			name: "loop with http", weight: 10, variants: 2,
			nodes: []node{start(), repeat("loop", "input.n + 2", "index", nil), call(recorder, "call", index, "", nil), end("loopResults")},
			edges: join(path("start", "loop"), path("call", "loop"), []edge{by("loop", "loop", "call"), by("completed", "loop", "end")}),
		},
		{
			name: "nested loops", weight: 8, variants: 2,
			nodes: []node{
				start(), repeat("rows", "input.n + 2", "outer", nil), repeat("columns", "input.n * 0 + 2", "inner", map[string]any{"delayBetweenItems": 20}),
				call(recorder, "call", nested, "", nil), compute("sum", "ctx.outer * 10 + ctx.inner"), end("rowsResults", "sum"),
			},
			edges: join(path("start", "rows"), path("call", "sum", "columns"), []edge{
				by("loop", "rows", "columns"), by("loop", "columns", "call"), by("completed", "columns", "rows"), by("completed", "rows", "end"),
			}),
		},
		{
			// To get ready for scripts takes a server longer than it mostly lives:
			// without a bound, nothing else would be left in the end.
			name: "javascript", weight: 6, variants: 2, most: 4,
			nodes: []node{
				start(), step("script", "javascript", map[string]any{"code": "return {value: input.n * 3}", "outputVariable": "result"}),
				call(recorder, "call", "", "", nil), end("result"),
			},
			edges: path("start", "script", "call", "end"),
		},
		{
			name: "join", weight: 10, variants: 2,
			nodes: []node{
				start(), call(recorder, "left", "", "", nil), wait("middle", 40), call(recorder, "right", "", "", nil),
				step("any", "transform", map[string]any{"expression": "1", "joinMode": "any"}), compute("all", "input.n + 1"), end("all", "left", "right"),
			},
			edges: join(path("start", "left", "all", "end"), path("start", "middle", "all"), path("start", "right", "all"), path("left", "any", "all"), path("middle", "any")),
		},
		{
			name: "delays", weight: 10, variants: 3,
			nodes: []node{start(), wait("short", 10), wait("long", "{{input.n * 100 + 100}}"), compute("sum", "input.n + 1"), end("sum")},
			edges: path("start", "short", "sum", "long", "end"),
		},
		{
			name: "retried", weight: 3, variants: 1,
			nodes: []node{start(), call(recorder, "call", "", "failures=1", handling("retry_then_fail")), end("call")},
			edges: path("start", "call", "end"),
		},
		{
			name: "retried twice", weight: 2, variants: 1,
			nodes: []node{start(), call(recorder, "call", "", "failures=2", handling("retry_then_continue")), end("call")},
			edges: path("start", "call", "end"),
		},
		{
			name: "retried in vain", weight: 2, variants: 1,
			nodes: []node{start(), call(recorder, "call", "", "failures=99", handling("retry_then_fail")), end("call")},
			edges: path("start", "call", "end"),
		},
		{
			name: "retried in vain, continued", weight: 2, variants: 1,
			nodes: []node{start(), call(recorder, "call", "", "failures=99", handling("retry_then_continue")), compute("after", "input.n"), end("after")},
			edges: path("start", "call", "after", "end"),
		},
		{
			name: "form", weight: 10, variants: 2, answer: form,
			nodes: []node{
				start(), step("ask", "dataCollection", map[string]any{"formSchema": formSchema, "outputVariable": "answer"}),
				compute("echo", "ctx.answer.value + 1"), call(recorder, "call", "", "", nil), end("echo"),
			},
			edges: path("start", "ask", "echo", "call", "end"),
		},
		{
			name: "forms in a loop", weight: 6, variants: 1, answer: form,
			nodes: []node{
				start(), repeat("loop", "input.n * 0 + 3", "index", nil),
				step("ask", "dataCollection", map[string]any{"outputVariable": "answer"}), compute("echo", "ctx.answer.value + ctx.index"), end("loopResults"),
			},
			edges: join(path("start", "loop"), path("ask", "echo", "loop"), []edge{by("loop", "loop", "ask"), by("completed", "loop", "end")}),
		},
		{
			name: "approval", weight: 8, variants: 2, answer: decision,
			nodes: []node{
				start(), step("ask", "approval", map[string]any{"outputVariable": "decision"}), call(recorder, "call", "", "", nil), end("call"),
				step("no", "end", map[string]any{"status": "failed"}),
			},
			edges: join(path("start", "ask"), path("call", "end"), []edge{by("approve", "ask", "call"), by("reject", "ask", "no")}),
		},
		{
			name: "failure", weight: 3, variants: 1,
			nodes: []node{start(), call(recorder, "call", "", "failures=99", nil), end("call")},
			edges: path("start", "call", "end"),
		},
		{
			name: "failure with a way out", weight: 4, variants: 1,
			nodes: []node{start(), call(recorder, "call", "", "failures=99", nil), compute("mend", "input.n + 7"), end("call"), step("other", "end", nil)},
			edges: join(path("start", "call", "end"), path("mend", "other"), []edge{by("error", "call", "mend")}),
		},
		{
			name: "failure that does not matter", weight: 4, variants: 1,
			nodes: []node{start(), call(recorder, "call", "", "failures=99", handling("continue")), compute("after", "input.n"), end("after")},
			edges: path("start", "call", "after", "end"),
		},
		{
			name: "items that are skipped", weight: 6, variants: 1,
			nodes: []node{
				start(), repeat("loop", "input.n * 0 + 4", "index", nil), call(recorder, "call", index, "odd={{ctx.index}}", handling("skip_item")), end("loopResults"),
			},
			edges: join(path("start", "loop"), path("call", "loop"), []edge{by("loop", "loop", "call"), by("completed", "loop", "end")}),
		},
	}
}

// parent runs another workflow, once alone and twice in a loop.
func parent(recorder, workflowID string) kind {
	child := func(id, pass, variable string) node {
		return step(id, "subWorkflow", map[string]any{
			"workflowID": workflowID, "outputVariable": variable,
			"inputValues": map[string]any{"key": "{{input.key}}/" + id + pass, "n": "{{input.n}}"},
		})
	}
	return kind{
		name: "runs of another workflow", weight: 10, variants: 2,
		nodes: []node{
			start(), child("first", "", "one"), repeat("loop", "input.n * 0 + 2", "index", nil), child("more", "{{ctx.index}}", "another"), end("one", "loopResults"),
		},
		edges: join(path("start", "first", "loop"), path("more", "loop"), []edge{by("loop", "loop", "more"), by("completed", "loop", "end")}),
	}
}

var formSchema = map[string]any{
	"type": "object", "required": []string{"value"}, "properties": map[string]any{"value": map[string]any{"type": "number"}},
}

func form(n int) map[string]any { return map[string]any{"value": 10 * n} }

func decision(n int) map[string]any {
	return map[string]any{"decision": [...]string{"approve", "reject"}[n]}
}

func (k kind) String() string { return fmt.Sprintf("%q", k.name) }
