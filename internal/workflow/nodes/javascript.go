package nodes

import (
	"context"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/workflow/sandbox"
)

// javascript runs a script of the author. Its settings:
//
//	code            the body of an async function of ctx, the variables of the run, and input
//	timeoutSeconds  1 to the longest that the server allows (30, or that if it is less)
//	outputVariable  where goes what the function returns (scriptResult)
//
// Templates are not filled in: braces belong to the language.
type javascript struct{ sandbox *sandbox.Sandbox }

const scriptTimeout = 30 * time.Second

// Pure reports false, though a script touches nothing: it takes long enough to
// deserve a goroutine. To run one again is safe.
func (javascript) Pure() bool { return false }

func (javascript) Handles(Data) []string { return single }

func (n javascript) Check(d Data) []Problem {
	if strings.TrimSpace(d.String("code")) == "" {
		return problem("code", "is missing")
	}
	if v, given := d["timeoutSeconds"]; given && !d.hasTemplate("timeoutSeconds") {
		most := n.sandbox.MaxTime().Seconds()
		if s, ok := toNumber(v); !ok || s < 1 || s > most {
			return problem("timeoutSeconds", "is not between 1 and %g", most)
		}
	}
	if err := n.sandbox.Check(context.Background(), d.String("code")); err != nil {
		return problem("code", "%v", err)
	}
	return nil
}

func (n javascript) Run(ctx context.Context, call Call) (Result, error) {
	timeout := scriptTimeout
	if s, ok := call.Data.Number("timeoutSeconds"); ok && s >= 1 {
		timeout = duration(s, time.Second, n.sandbox.MaxTime())
	}
	value, err := n.sandbox.Run(ctx, call.Source.String("code"), call.Vars, timeout)
	return Result{Output: value}, err
}
