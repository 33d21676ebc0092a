package enginetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
)

// definition is a workflow and how a run of it ends.
type definition struct {
	name, def string
	status    events.RunStatus
	want      string // the output, or what the error has
}

// The input of all of them.
func givenInput() map[string]any {
	return map[string]any{"n": 2, "list": []any{"x", "y", "z"}, "text": "ab", "flag": true, "pairs": []any{[]any{1, 2}, []any{3}}}
}

// out is an end node with outputs, written "name=variable name=variable".
func out(id, params string) string {
	var list []string
	for _, p := range strings.Fields(params) {
		name, source, _ := strings.Cut(p, "=")
		list = append(list, fmt.Sprintf(`{"name":%q,"sourceVariable":%q}`, name, source))
	}
	return id + `:end{"outputParameters":[` + strings.Join(list, ",") + "]}\n"
}

// transform is a node that computes.
func transform(id, expression, more string) string {
	return fmt.Sprintf("%s:transform{%q:%q,%q:%q%s}\n", id, "expression", expression, "outputVariable", id, more)
}

var allDefinitions = []definition{
	{"nothing but a start", "s:start", events.RunCompleted, ""},
	{"a line", "s:start\n" + transform("a", "input.n + 1", "") + out("e", "v=a") + "s->a\na->e", events.RunCompleted, `{"v":3}`},
	{"no end node", "s:start\n" + transform("a", "1", "") + "s->a", events.RunCompleted, ""},
	{"an end that says it failed", "s:start\ne:end{\"status\":\"failed\"}\ns->e", events.RunFailed, "ended at e"},
	{
		"templates keep their type", `s:start
		a:effect{"value":{"n":"{{input.n}}","list":"{{input.list}}","flag":"{{ctx.input.flag}}","nil":"{{input.nothing}}","mixed":"{{input.n}}+{{input.flag}}","deep":[["{{input.n / 4}}"]]},"outputVariable":"a"}
		` + out("e", "v=a.value") + "s->a\na->e", events.RunCompleted,
		`{"v":{"deep":[[0.5]],"flag":true,"list":["x","y","z"],"mixed":"2+true","n":2,"nil":null}}`,
	},
	{"an effect and its variable", "s:start\na:effect{\"value\":7,\"outputVariable\":\"a\"}\n" + out("e", "v=a.value n=a.attempts") + "s->a\na->e", events.RunCompleted, `{"n":1,"v":7}`},
	{"a condition", `s:start
		c:condition{"branches":[{"id":"big","condition":"input.n > 5"},{"id":"small","condition":"{{input.n > 1}}"}]}
		` + transform("big", "'big'", "") + transform("small", "'small'", "") + transform("none", "'none'", "") + out("e", "b=big s=small n=none") +
		"s->c\nc[big]->big\nc[small]->small\nc[default]->none\nbig->e\nsmall->e\nnone->e", events.RunCompleted, `{"b":null,"n":null,"s":"small"}`},
	{"a condition that nothing fits", `s:start
		c:condition{"branches":[{"id":"big","condition":"input.n > 5"}],"defaultBranch":"other"}
		` + transform("o", "'o'", "") + out("e", "o=o") + "s->c\nc[other]->o\nc[big]->e\no->e", events.RunCompleted, `{"o":"o"}`},
	{"a fork and a join of all", "s:start\na:effect{\"value\":1,\"outputVariable\":\"a\"}\nb:delay{\"delayMs\":20}\n" + transform("j", "ctx.a.value + 1", "") + out("e", "v=j") +
		"s->a\ns->b\na->j\nb->j\nj->e", events.RunCompleted, `{"v":2}`},
	{"a join of any", "s:start\na:delay{\"delayMs\":1}\nb:delay{\"delayMinutes\":10}\n" + transform("j", "'first'", `,"joinMode":"any"`) + out("e", "v=j") +
		"s->a\ns->b\na->j\nb->j\nj->e", events.RunCompleted, `{"v":"first"}`},
	{"a join behind a dead branch", "s:start\nc:condition{\"branches\":[{\"id\":\"x\",\"condition\":\"false\"}]}\n" + transform("x", "1", "") + transform("x2", "1", "") + transform("y", "2", "") + out("e", "v=y w=x2") +
		"s->c\nc[x]->x\nx->x2\nc[default]->y\nx2->e\ny->e", events.RunCompleted, `{"v":2,"w":null}`},
	{"a loop over a list", "s:start\nl:loop{\"sourceVariable\":\"input.list\",\"itemVariable\":\"it\",\"indexVariable\":\"i\"}\n" + transform("b", "ctx.it + string(ctx.i)", "") + out("e", "v=loopResults") +
		"s->l\nl[loop]->b\nb->l\nl[completed]->e", events.RunCompleted, `{"v":["x0","y1","z2"]}`},
	{"a loop over a number, with a pause", "s:start\nl:loop{\"sourceVariable\":\"input.n\",\"delayBetweenItems\":5,\"outputVariable\":\"r\"}\nb:effect{\"value\":\"{{ctx.item * 10}}\"}\n" + transform("v", "map(ctx.r, #.value)", "") + out("e", "v=v") +
		"s->l\nl[loop]->b\nl[done]->v\nv->e", events.RunCompleted, `{"v":[0,10]}`},
	{"an empty loop", "s:start\nl:loop{\"sourceVariable\":\"[]\"}\n" + transform("b", "1", "") + out("e", "v=loopResults") + "s->l\nl[loop]->b\nl->e", events.RunFailed, "sourceVariable"},
	{"nested loops", "s:start\no:loop{\"sourceVariable\":\"input.pairs\",\"itemVariable\":\"pair\",\"outputVariable\":\"outer\"}\ni:loop{\"sourceVariable\":\"pair\",\"outputVariable\":\"inner\"}\nb:effect{\"value\":\"{{ctx.item}}\",\"outputVariable\":\"b\"}\n" +
		transform("sq", "ctx.b.value * ctx.item", "") + out("e", "v=outer") +
		"s->o\no[loop]->i\ni[loop]->b\nb->sq\nsq->i\ni[completed]->o\no[completed]->e", events.RunCompleted, `{"v":[[1,4],[9]]}`},
	{"a delay in a loop", "s:start\nl:loop{\"sourceVariable\":\"input.list\"}\nd:delay{\"delayMs\":3}\n" + transform("b", "ctx.item", "") + out("e", "v=loopResults") +
		"s->l\nl[loop]->d\nd->b\nb->l\nl[completed]->e", events.RunCompleted, `{"v":["x","y","z"]}`},
	{"an item that is skipped", "s:start\nl:loop{\"sourceVariable\":\"input.n\"}\nb:effect{\"value\":\"{{ctx.item}}\",\"failures\":\"{{ctx.item == 0 ? 9 : 0}}\",\"errorHandling\":\"skip_item\",\"outputVariable\":\"b\"}\n" + transform("v", "ctx.b.value", "") + out("e", "v=loopResults") +
		"s->l\nl[loop]->b\nb->v\nv->l\nl[completed]->e", events.RunCompleted, `{"v":[1]}`},
	{"an end in a loop", "s:start\nl:loop{\"sourceVariable\":\"input.list\"}\n" + out("stop", "v=item") + out("e", "w=n") + "s->l\nl[loop]->stop\nl[completed]->e", events.RunCompleted, `{"v":"x"}`},
	{"a loop with too many items", "s:start\nl:loop{\"sourceVariable\":\"input.list\",\"maxIterations\":2}\n" + transform("b", "1", "") + "s->l\nl[loop]->b", events.RunFailed, "maxIterations"},
	{"a failure", "s:start\na:effect{\"failures\":9}\n" + out("e", "v=a") + "s->a\na->e", events.RunFailed, "attempt 1 fails"},
	{"an error edge", "s:start\na:effect{\"failures\":9,\"outputVariable\":\"a\"}\n" + transform("h", "ctx.a.attempt", "") + out("e", "v=h") + "s->a\na[error]->h\nh->e", events.RunCompleted, `{"v":1}`},
	{"fail_workflow", "s:start\na:effect{\"failures\":9,\"errorHandling\":\"fail_workflow\"}\n" + out("e", "v=a") + "s->a\na->e", events.RunFailed, "attempt 1 fails"},
	{"continue", "s:start\na:effect{\"failures\":9,\"errorHandling\":\"continue\",\"outputVariable\":\"a\"}\n" + out("e", "v=a") + "s->a\na->e", events.RunCompleted, `{"v":{"attempt":1}}`},
	{"continue_default", "s:start\na:effect{\"failures\":9,\"errorHandling\":\"continue_default\",\"defaultValue\":{\"d\":[1]},\"outputVariable\":\"a\"}\n" + out("e", "v=a") + "s->a\na->e", events.RunCompleted, `{"v":{"d":[1]}}`},
	{"a bad expression", "s:start\n" + transform("a", "input.n + input.list", "") + "s->a", events.RunFailed, "node a: "},
	{"a result that is too large", "s:start\na:effect{\"size\":70000}\ns->a", events.RunFailed, "workflow.maxResult"},
	{"a result that is too large, and handled", "s:start\na:effect{\"size\":70000,\"outputVariable\":\"a\"}\n" + transform("h", "ctx.a == nil", "") + out("e", "v=h") + "s->a\na[error]->h\nh->e", events.RunCompleted, `{"v":true}`},
	{"a delay by a variable", "s:start\nd:delay{\"delayType\":\"dynamic\",\"delayVariable\":\"input.n\"}\n" + out("e", "v=input.n") + "s->d\nd->e", events.RunCompleted, `{"v":2}`},
	{"a delay until what is past", "s:start\nd:delay{\"delayType\":\"until\",\"untilTime\":\"2020-01-01T00:00:00Z\"}\n" + out("e", "v=input.n") + "s->d\nd->e", events.RunCompleted, `{"v":2}`},
	{"a script", "s:start\nj:javascript{\"code\":\"return {n: input.n * 21, list: ctx.input.list.length}\",\"outputVariable\":\"j\"}\n" + out("e", "v=j") + "s->j\nj->e", events.RunCompleted, `{"v":{"list":3,"n":42}}`},
	{"a script that fails", "s:start\nj:javascript{\"code\":\"throw new Error('no luck')\"}\ns->j", events.RunFailed, "no luck"},
	{"a query of data", "s:start\nd:dataQuery{\"dataQueryID\":\"q\",\"args\":{\"n\":\"{{input.n}}\"},\"outputVariable\":\"d\"}\n" + out("e", "v=d") + "s->d\nd[success]->e", events.RunCompleted, `{"v":[{"args":{"n":2},"query":"q"}]}`},
	{"a question to an assistant", "s:start\na:ai{\"prompt\":\"{{input.text}}\",\"outputVariable\":\"a\"}\n" + out("e", "v=a.text") + "s->a\na->e", events.RunCompleted, `{"v":"you said ab"}`},
	{"variables that are written twice", "s:start\n" + transform("a", "1", "") + "b:transform{\"expression\":\"ctx.a + 1\",\"outputVariable\":\"a\"}\n" + out("e", "v=a") + "s->a\na->b\nb->e", events.RunCompleted, `{"v":2}`},
}

// definitions are all kinds of nodes and handles that need no people.
func definitions(t *testing.T, b *bed) {
	for _, d := range allDefinitions {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			b.expect(t, d)
		})
	}
}

// expect runs a definition and compares its end.
func (b *bed) expect(t *testing.T, d definition) {
	t.Helper()
	d.matches(t, b.over(t, b.start(t, d.def, givenInput())))
}

func (d definition) matches(t *testing.T, st workflow.State) {
	t.Helper()
	got := output(st)
	if d.status == events.RunFailed {
		got = st.Run.Error
	}
	if st.Run.Status != d.status || d.status == events.RunCompleted && got != d.want || !strings.Contains(got, d.want) {
		t.Errorf("got %s %s (%s), want %s %s\n%s", st.Run.Status, got, st.Run.Error, d.status, d.want, traceOf(st.Log))
	}
}

// operators are those of conditions.
func operators(t *testing.T, b *bed) {
	t.Parallel()
	var def, edges strings.Builder
	def.WriteString("s:start\n")
	var want []string
	for i, o := range []struct {
		left, op, right string // JSON
		holds           bool
	}{
		{`"{{input.n}}"`, "equals", `"2"`, true},
		{`"{{input.n}}"`, "equals", `3`, false},
		{`"{{input.n}}"`, "not_equals", `3`, true},
		{`"{{input.list}}"`, "contains", `"y"`, true},
		{`"{{input.text}}"`, "contains", `"c"`, false},
		{`"{{input.text}}"`, "not_contains", `"c"`, true},
		{`"{{input.text}}"`, "starts_with", `"a"`, true},
		{`"{{input.text}}"`, "ends_with", `"a"`, false},
		{`"{{input.n}}"`, "greater_than", `1`, true},
		{`"10"`, "greater_than", `"9"`, true},
		{`"{{input.n}}"`, "less_than", `2`, false},
		{`"{{input.n}}"`, "greater_or_equal", `2`, true},
		{`"{{input.n}}"`, "less_or_equal", `1`, false},
		{`"{{input.nothing}}"`, "is_empty", `null`, true},
		{`"{{input.list}}"`, "is_not_empty", `null`, true},
		{`"{{input.text}}"`, "matches_regex", `"^a.$"`, true},
		{`"input.n == 2 and input.flag"`, "expression", `null`, true},
	} {
		fmt.Fprintf(&def, `c%d:condition{"branches":[{"id":"yes","conditions":[{"leftValue":%s,"operator":%q,"rightValue":%s}]}],"outputVariable":"c%d"}`+"\n", i, o.left, o.op, o.right, i)
		fmt.Fprintf(&edges, "s->c%d\n", i)
		branch := "default"
		if o.holds {
			branch = "yes"
		}
		want = append(want, branch)
	}
	st := b.over(t, b.start(t, def.String()+edges.String(), givenInput()))
	for i, branch := range want {
		got, _ := st.Context[fmt.Sprintf("c%d", i)].(map[string]any)
		if got["branch"] != branch {
			t.Errorf("condition %d leads to %v, want %s", i, got["branch"], branch)
		}
	}
}
