package rawws

import (
	"encoding/json"
	"testing"
)

// Whatever a client sends is taken as it was meant, or refused with a field.
func FuzzGenesis(f *testing.F) {
	for _, seed := range []string{
		`{"type":"subscribe","payload":{"channels":["workflow:wf-123","sync:user-456"]}}`,
		`{"type":"execute_workflow","payload":{"workflowId":"wf-123","input":{"data":"value"}},"correlationId":"req-789"}`,
		`{"type":"ping","timestamp":1730000000000}`,
		`{"type":"execute_workflow","payload":{"workflowId":"\u0000","input":7},"correlationId":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		fr := parseFrame(raw)
		if correlation, err := correlationOf(fr); err == nil && correlation != "" && !isName(correlation) {
			t.Errorf("correlation %q", correlation)
		}
		if names, err := channelsOf(fr); err == nil && len(names) > maxChannels || err != nil && err.Field == "" {
			t.Errorf("channels %q, %v", names, err)
		}
		e, err := executionOf(fr)
		switch {
		case err != nil && err.Field == "", err == nil && !isName(e.workflow):
			t.Errorf("execution %+v, %v", e, err)
		case err == nil:
			if _, err := json.Marshal(e.input); err != nil {
				t.Error(err)
			}
		}
		if fr.number("timestamp") && !json.Valid(fr.fields["timestamp"]) {
			t.Errorf("timestamp %s", fr.fields["timestamp"])
		}
	})
}
