package journal_test

import (
	"strings"
	"testing"
)

// A script computes in a run, with braces that are its own; one that does not
// end is a failure of its node.
func TestScripts(t *testing.T) {
	f := newFixture(t)
	for code, want := range map[string]string{
		`const o = '{{' + input.n + '}}'; return {o, twice: input.n * 2}`: `"contextData":{"input":{"n":2},"scriptResult":{"o":"{{2}}","twice":4}}`,
		`return input.n +\n  zork`: `ReferenceError: zork is not defined (line 2 or below)`,
		`while (true) {}`:          `the script takes longer than 1s`,
	} {
		run := f.run(linear(t, startNode, `{"type":"javascript","data":{"timeoutSeconds":1,"code":"`+code+`"}}`), map[string]any{"n": 2})
		if got := strings.Join(f.finish(run), "\n"); !strings.Contains(got, want) {
			t.Errorf("%s:\n%s\nwant %s", code, got, want)
		}
	}
}
