package rawws_test

import (
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/servertest"
)

func TestZZScale(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.WebSocket.PerAddress = 10000 }})
	define(t, s, "wf", short)
	define(t, s, "loop", `{"nodes":[{"id":"s","type":"start","data":{}},{"id":"l","type":"loop","data":{"sourceVariable":"input.items","itemVariable":"x"}},`+
		`{"id":"t","type":"transform","data":{"expression":"ctx.x"}}],"edges":[{"source":"s","target":"l"},{"source":"l","target":"t","sourceHandle":"loop"},{"source":"t","target":"l"}]}`)
	for _, n := range []int{50, 500} {
		var all []*client
		for i := range n {
			c := genesis(t, s, fmt.Sprint("u", i))
			c.heard = nil
			c.subscribe("workflow:wf", "workflow:loop")
			all = append(all, c)
		}
		asker := genesis(t, s, "ann")
		var list []string
		for i := range 500 {
			list = append(list, fmt.Sprint(i))
		}
		f, _ := os.Create(fmt.Sprintf("/tmp/genR-%d.prof", n))
		pprof.StartCPUProfile(f)
		for _, frame := range []string{`{"workflowId":"wf"}`, `{"workflowId":"wf"}`, `{"workflowId":"wf"}`, `{"workflowId":"loop","input":{"items":[` + strings.Join(list, ",") + `]}}`} {
			begin := time.Now()
			asker.send(`{"type":"execute_workflow","payload":` + frame + `}`)
			asker.until("workflow_completed")
			mine := time.Since(begin)
			asker.nothing()
			ping := time.Since(begin)
			for _, c := range all {
				c.until("workflow_completed")
			}
			t.Logf("%d subscribers, %.25s: asker %v ping %v all %v", n, frame, mine, ping, time.Since(begin))
		}
		pprof.StopCPUProfile()
		for _, c := range all {
			c.ws.Close()
		}
	}
}
