//go:build temporal

package temporal

import (
	"path/filepath"
	"testing"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
)

// replayed is where the workflow is registered without its activities, whose
// results are in the history.
type replayed struct{ worker.WorkflowReplayer }

func (replayed) RegisterActivityWithOptions(any, activity.RegisterOptions) {}

// TestReplay replays histories of former versions: runs that are under way when
// the program is replaced go on with the next. To record one, see TestRecord.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d histories, %v", len(files), err)
	}
	for _, file := range files {
		r := worker.NewWorkflowReplayer()
		newEngine(Options{}).register(replayed{r})
		if err := r.ReplayWorkflowHistoryFromJSONFile(nil, file); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
