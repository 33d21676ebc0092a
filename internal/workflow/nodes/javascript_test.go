package nodes

import (
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/workflow/sandbox"
)

func TestJavaScript(t *testing.T) {
	script := All(Options{JavaScript: sandbox.Options{MaxTime: 2 * time.Second}})["javascript"]
	for want, d := range map[string]Data{
		"":                                      {"code": "return 1", "timeoutSeconds": 2.0},
		" ":                                     {"code": "return 1", "timeoutSeconds": "{{ctx.n}}"},
		"code is missing":                       {"code": " \n"},
		"code SyntaxError: ":                    {"code": "return 1\nreturn )"},
		"(line 2)":                              {"code": "return 1\nreturn )"},
		"timeoutSeconds is not between 1 and 2": {"code": "return 1", "timeoutSeconds": 30.0},
	} {
		got := ""
		if p := script.Check(d); len(p) > 0 {
			got = p[0].Field + " " + p[0].Message
		}
		if want = strings.TrimSpace(want); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}

	call := Call{Vars: map[string]any{"input": map[string]any{"n": 3.0}}, Source: Data{"code": "return '{{' + input.n + '}}'"}}
	if got, err := script.Run(t.Context(), call); err != nil || got.Output != "{{3}}" || got.Handle != "" {
		t.Errorf("%+v %v", got, err)
	}
	call.Source, call.Data = Data{"code": "while (true) {}"}, Data{"timeoutSeconds": 1.0}
	if got, err := script.Run(t.Context(), call); err == nil || err.Error() != "the script takes longer than 1s" {
		t.Errorf("%+v %v", got, err)
	}
	if script.Pure() || DefaultVariable("javascript") != "scriptResult" {
		t.Error("javascript")
	}
}
