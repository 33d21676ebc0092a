package durability

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"
)

// what changes from run to run: moments, ids, and who of two answered.
var (
	moments = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`)
	ids     = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	senders = regexp.MustCompile(`"sender":\d|sender \d`)
)

// outcome is how a run ended, without what changes from run to run.
func (in instance) outcome() string {
	var end json.RawMessage
	if len(in.Logs) > 0 {
		end = in.Logs[len(in.Logs)-1].Data.Output
	}
	var all bytes.Buffer
	all.WriteString(in.Status + "\n" + in.Error + "\n")
	all.Write(canonical(end))
	all.WriteByte('\n')
	all.Write(canonical(in.ContextData))
	text := moments.ReplaceAllString(all.String(), "<moment>")
	text = ids.ReplaceAllString(text, "<id>")
	return senders.ReplaceAllString(text, "<sender>")
}

// canonical is the same JSON with sorted keys.
func canonical(raw json.RawMessage) []byte {
	if len(raw) == 0 {
		return nil
	}
	var v any
	json.Unmarshal(raw, &v) // from the server
	out, _ := json.Marshal(v)
	return out
}

// expected lets every variant of every workflow run on a stage that nobody
// disturbs, and returns how they end, by kind and variant.
func (s *stage) expected() map[string][]string {
	rng := rand.New(rand.NewPCG(1, 1))
	for k := range s.kinds {
		for n := range s.kinds[k].variants {
			s.start(k, n, rng)
		}
	}
	if !s.settle(time.Minute) {
		s.t.Fatalf("without any disturbance %d runs do not end", s.going())
	}
	all := map[string][]string{}
	for _, r := range s.runs {
		in, err := s.client.read(s.ctx, r.instance())
		if err != nil {
			s.t.Fatal(err)
		}
		if strings.Contains(in.Error, "connect") {
			s.t.Fatalf("%v cannot reach the recorder: %s", r.kind, in.Error)
		}
		all[r.kind.name] = append(all[r.kind.name], in.outcome())
	}
	return all
}
