package rawws

import "testing"

// The table of first frames, row by row, and what may stand in the way of it.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		row   string
		frame string
		want  verdict
	}{
		{"1", `not JSON`, notObject},
		{"1", `[1]`, notObject},
		{"1", `"text"`, notObject},
		{"1", ``, notObject},
		{"1", `null`, notObject},
		{"1", `{"action": "Register" "checksum": "azerty"}`, notObject}, // as documented, without the comma
		{"2", `{"action":"Register"}`, isAction},
		{"2", `{"action":"Unheard"}`, isAction},
		{"3", `{"type":"auth","token":"t"}`, isBots},
		{"3", `{"type":"auth","payload":{"token":"t"},"timestamp":"2024-01-01T10:00:00Z"}`, isBots}, // the general form of bots
		{"3", `{"type":"auth","token":7}`, unknown},
		{"4", `{"type":"subscribe","session_id":"session-uuid"}`, isBots},
		{"4", `{"type":"subscribe","payload":{"session_id":"s"}}`, isBots},
		{"4", `{"type":"message","content":"hello"}`, isBots},
		{"4", `{"type":"typing_start"}`, isBots},
		{"4", `{"type":"typing_stop"}`, isBots},
		{"5", `{"type":"execute_workflow","payload":{"workflowId":"wf-123"}}`, isGenesis},
		{"5", `{"type":"subscribe","payload":{"channels":["workflow:wf-123"]}}`, isGenesis},
		{"5", `{"type":"anything","correlationId":"req-1"}`, isGenesis},
		{"6", `{"type":"subscribe","data":{"channel":"conversation:conv-123"}}`, isService},
		{"6", `{"type":"chat_message","data":{"conversation_id":"c","content":"hi"}}`, isService},
		{"7", `{"type":"ping","timestamp":1730000000000}`, genesisPing},
		{"7", `{"type":"ping","timestamp":1730000000000,"correlationId":"req-1"}`, genesisPing},
		{"7", `{"type":"ping","timestamp":1,"session_id":"s"}`, genesisPing},
		{"8", `{"type":"ping","data":{}}`, servicePing},
		{"8", `{"type":"ping","data":{"n":1},"timestamp":1}`, servicePing},
		{"4", `{"type":"ping","session_id":"s"}`, isBots},
		{"9", `{"type":"ping"}`, barePing},
		{"9", ` { "type" : "ping" } `, barePing},
		{"9", `{"type":"ping","payload":{},"timestamp":"2024-01-01T10:00:00Z"}`, barePing}, // the general form of bots
		{"10", `{"type":"ping","payload":{}}`, isGenesis},
		{"10", `{"type":"hello","timestamp":1}`, isGenesis},
		{"10", `{"type":"hello","payload":{}}`, isGenesis},
		{"11", `{"type":"join","room_id":"r"}`, meetElsewhere},
		{"11", `{"type":"leave"}`, meetElsewhere},
		{"11", `{"type":"signal","target_id":"t"}`, meetElsewhere},
		{"12", `{"type":"subscribe","action":"Register","session_id":"s"}`, isBots},
		{"12", `{"type":"nothing","action":"Register"}`, isAction},
		{"12", `{"type":"nothing","action":"Nothing"}`, unknown},
		{"13", `{}`, unknown},
		{"13", `{"type":"subscribe"}`, unknown},
		{"13", `{"type":"SUBSCRIBE"}`, unknown},
		{"13", `{"type":7}`, unknown},
	} {
		if got := judge(parseFrame([]byte(c.frame))); got != c.want {
			t.Errorf("row %s, %s: got %d, want %d", c.row, c.frame, got, c.want)
		}
	}
}

func FuzzJudge(f *testing.F) {
	f.Add([]byte(`{"type":"ping"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		fr := parseFrame(raw)
		if v := judge(fr); (fr.fields == nil) != (v == notObject) {
			t.Errorf("%q: %d", raw, v)
		}
	})
}
