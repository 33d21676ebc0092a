package rawws

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzAction sends whatever to the decoder of the dialect: what it takes has all
// that its action needs, and what it refuses is answered with an error that no
// client takes for a token.
func FuzzAction(f *testing.F) {
	for _, seed := range []string{
		`{ "action": "Register", "API_KEY": "API_KEY1234" "checksum": "azerty", "name": "tom", "prompt": "juste le boss" }`,
		`{"action":"Register","API_KEY":"API_KEY1234","checksum":"azerty","name":"tom","prompt":"juste le boss"}`,
		`{"action":"Connection","checksum":"azerty"}`,
		`{"action":"TakeDecision","token":"t","message":"Hello World"}`,
		`{"action":"Disconnect","token":"t"}`,
		`{"action":"Status"}`, `{"action":{}}`, `null`, `[]`, "{\"action\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		in := parseFrame(raw)
		r, refusal := readAction(in)
		if refusal == nil {
			known := actionRoutes[in.action]
			if known.route == "" || r.route != known.route || (r.token == "") == known.token {
				t.Fatalf("%q was read as %+v", raw, r)
			}
			for _, name := range known.fields {
				if r.fields[name] == "" {
					t.Fatalf("%q was taken without %s", raw, name)
				}
			}
			return
		}
		text, err := encode(refusal)
		if err != nil {
			t.Fatal(err)
		}
		var reply map[string]string
		if err := json.Unmarshal(text, &reply); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		_, token := reply["token"]
		_, data := reply["data"]
		if token || data || reply["status"] != "error" || reply["message"] == "" || len([]rune(reply["route"])) > shownAction || strings.ContainsRune(string(text), '\n') {
			t.Fatalf("%q is refused with %s", raw, text)
		}
	})
}
