package rawws_test

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/websocket"
)

// Who sends as fast as it goes is refused; others are answered meanwhile, each
// in its turn.
func TestFloodsLeaveOthersAlone(t *testing.T) {
	t.Parallel()
	s := every(t, nil)
	token := s.Token("ann", "default", auth.Member)
	for name, frame := range map[string][]byte{
		"messages": maskedFrame(fin|text, `{"type":"message","session_id":"s","content":"x"}`),
		"pings":    maskedFrame(fin|ping, "12345678"),
		"pongs":    maskedFrame(fin|pong, "12345678"), // as long as those that bots asks for
	} {
		flooder, neighbour := dialRaw(t, s, "/ws/bots?token="+token), dial(t, s, "/ws/bots?token="+token)
		flood := []byte(strings.Repeat(string(frame), 1000))
		writing := make(chan struct{})
		go func() {
			defer close(writing)
			for {
				if _, err := flooder.Write(flood); err != nil {
					return
				}
			}
		}()
		go io.Copy(io.Discard, flooder.r)
		var took []time.Duration
		for range 50 {
			began := time.Now()
			neighbour.shapes(`{"type":"typing_stop","session_id":"s"}`, "bots error SESSION_NOT_FOUND")
			took = append(took, time.Since(began))
		}
		select {
		case <-writing:
			t.Errorf("%s: the flood has ended", name)
		default:
		}
		flooder.Close()
		<-writing
		slices.Sort(took)
		t.Logf("%s: beside them p50 %v, p90 %v", name, took[25], took[45])
		if took[25] > time.Second { // it is a few ms on a machine that has nothing else to do
			t.Errorf("%s: half of the answers took more than %v", name, took[25])
		}
	}
}

// Who does not read what it asks for is told so at its limit.
func TestClientsThatDoNotRead(t *testing.T) {
	t.Parallel()
	s := every(t, func(c *config.WebSocket) { c.Burst, c.SendLimit = 10_000, 256<<10 })
	path := "/ws/genesis?token=" + s.Token("ann", "default", auth.Member)
	neighbour, slow := dial(t, s, path), dialRaw(t, s, path)
	big := maskedFrame(fin|text, `{"type":"ping","timestamp":1`+strings.Repeat("0", 60<<10)+`}`)
	for range 400 { // 24 MB, of which the kernel takes some
		slow.Write(big)
	}
	neighbour.speaks("genesis")
	for {
		op, payload := slow.read()
		if op == goodbye {
			if code := codeOf(op, payload); code != websocket.StatusPolicyViolation || payload[2:] != websocket.ReasonSlow {
				t.Errorf("closed with %d %q", code, payload[2:])
			}
			return
		}
	}
}
