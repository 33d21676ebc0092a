package enginetest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// nodeTypes are what calls others: a real server, which looks at the keys.
func nodeTypes(t *testing.T, b *bed) {
	t.Parallel()
	var mu sync.Mutex
	keys := map[string]int{}
	fails := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		keys[r.Header.Get("Idempotency-Key")]++
		if fails {
			fails = false
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	}))
	t.Cleanup(server.Close)
	st := b.over(t, b.start(t, `s:start
		h:http{"url":"`+server.URL+`","method":"POST","body":{"n":"{{input.n}}"},"errorHandling":"retry_then_fail","outputVariable":"h"}
		l:loop{"sourceVariable":"input.n"}
		i:http{"url":"`+server.URL+`","method":"POST","body":["{{ctx.item}}"],"outputVariable":"i"}
		`+transform("v", "ctx.i.body[0]", "")+out("e", "h=h.body l=loopResults")+
		"s->h\nh->l\nl[loop]->i\ni->v\nv->l\nl[completed]->e", givenInput()))
	if got := output(st); got != `{"h":{"n":2},"l":[0,1]}` {
		t.Errorf("%s %s", got, st.Run.Error)
	}
	mu.Lock()
	defer mu.Unlock()
	most := 0
	for k, n := range keys {
		most = max(most, n)
		if k == "" || len(k) > 64 {
			t.Errorf("the key %q", k)
		}
	}
	if len(keys) != 3 || most != 2 { // the first was tried again with its key
		t.Errorf("keys and how often they came: %v", keys)
	}
}

// retries take their time: one and two seconds, all of them at once.
func retries(t *testing.T, b *bed) {
	t.Parallel()
	all := []definition{
		{"retry_then_fail", "s:start\na:effect{\"failures\":9,\"errorHandling\":\"retry_then_fail\"}\ns->a", events.RunFailed, "attempt 3 fails"},
		{"retry_then_continue", "s:start\na:effect{\"failures\":9,\"errorHandling\":\"retry_then_continue\",\"outputVariable\":\"a\"}\n" + out("e", "v=a.attempt") + "s->a\na->e", events.RunCompleted, `{"v":3}`},
		{"retry until it works", "s:start\na:effect{\"failures\":1,\"value\":\"ok\",\"errorHandling\":\"retry_then_fail\",\"outputVariable\":\"a\"}\n" + out("e", "v=a.value n=a.attempts") + "s->a\na->e", events.RunCompleted, `{"n":2,"v":"ok"}`},
		{"back-off", "s:start\na:effect{\"failures\":2,\"errorHandling\":\"retry_then_fail\"}\ns->a", events.RunCompleted, ""},
	}
	runs := make([]workflow.Run, len(all))
	for i, d := range all {
		runs[i] = b.start(t, d.def, givenInput())
	}
	for i, d := range all {
		t.Run(d.name, func(t *testing.T) { d.matches(t, b.over(t, runs[i])) })
	}
	t.Run("pauses", func(t *testing.T) {
		st := b.state(t, runs[3].ID)
		var failed, again []time.Time
		for _, e := range st.Log {
			switch e.Type {
			case interpreter.NodeRetry:
				failed = append(failed, e.At)
			case interpreter.NodeDispatched:
				again = append(again, e.At)
			}
		}
		if len(failed) != 2 || len(again) != 3 {
			t.Fatalf("%d failures, %d attempts:\n%s", len(failed), len(again), traceOf(st.Log))
		}
		for i, wait := range []time.Duration{time.Second, 2 * time.Second} {
			if got := again[i+1].Sub(failed[i]); got < wait {
				t.Errorf("attempt %d comes %v after the failure before, want %v", i+2, got, wait)
			}
		}
	})
}
