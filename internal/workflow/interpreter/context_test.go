package interpreter

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/workflow/graph"
)

// A snapshot stays what it was, whatever happens later, and however often
// variables are overwritten it takes no more than they do.
func TestSnapshots(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 1))
	m := New(graph.NewPlan(graph.Definition{}), Options{})
	type moment struct {
		snapshot Snapshot
		want     string
	}
	var moments []moment
	now := map[string]json.RawMessage{}
	for range 2000 {
		name := fmt.Sprintf("v%d", random.IntN(20))
		raw := json.RawMessage(`"` + strings.Repeat("x", random.IntN(50)) + `"`)
		now[name] = raw
		m.set(name, raw)
		m.set(hidden+name, raw)
		want, _ := json.Marshal(now)
		moments = append(moments, moment{m.Snapshot(), string(want)})
	}
	for i, at := range moments {
		if got := string(at.snapshot.JSON()); got != at.want {
			t.Fatalf("moment %d: %s, want %s", i, got, at.want)
		}
		if got, size := len(at.want), at.snapshot.Size(); size < got || size > got+2 {
			t.Fatalf("moment %d has %d bytes, size %d", i, got, size)
		}
	}
	if n := len(m.visible.list); n > 2*20+overwritten {
		t.Errorf("%d assignments are kept of 20 variables", n)
	}
}
