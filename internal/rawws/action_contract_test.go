package rawws

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/roomcast/roomcast/asyncapi/asyncapitest"
	"github.com/roomcast/roomcast/events"
)

// Every example of the document is read or said by the program, every action
// and every kind of reply is in the document, and everything is as its schema
// has it.
func TestActionConforms(t *testing.T) {
	contract := asyncapitest.Contract(t, "ws-action.yaml")
	const channel = "/ws/action"
	read := map[string]bool{}
	var said []any
	for _, m := range asyncapitest.Document(t, "ws-action.yaml").Messages() {
		for _, example := range m.Examples {
			var value map[string]any
			json.Unmarshal(example, &value)
			if !m.Inbound {
				said = append(said, value)
				if err := contract.Outbound(channel, m.Name, example); err != nil {
					t.Errorf("%s: %v", example, err)
				}
				continue
			}
			f := parseFrame(example)
			r, refusal := readAction(f)
			if refusal != nil {
				t.Errorf("%s is refused: %+v", example, refusal)
			}
			if err := contract.Inbound(channel, m.Name, example); err != nil {
				t.Errorf("%s: %v", example, err)
			}
			for name, text := range r.fields {
				if value[name] != text {
					t.Errorf("%s: %s was read as %q", example, name, text)
				}
			}
			read[f.action] = true
		}
	}
	for name := range actionRoutes {
		if !read[name] {
			t.Errorf("the document has no example of %s", name)
		}
	}
	says := actionSays()
	for _, example := range said {
		if !containsValue(says, example) {
			t.Errorf("the program does not say %v", example)
		}
	}
	for _, reply := range says {
		if !containsValue(said, reply) {
			t.Errorf("the document has no example of %v", reply)
		}
	}
}

func containsValue(list []any, v any) bool {
	for _, one := range list {
		if reflect.DeepEqual(one, v) {
			return true
		}
	}
	return false
}

// actionSays are replies of each kind.
func actionSays() (all []any) {
	add := func(r actionReply) {
		text, _ := encode(r)
		var value map[string]any
		json.Unmarshal(text, &value)
		for _, seen := range all {
			if reflect.DeepEqual(seen, value) {
				return
			}
		}
		all = append(all, value)
	}
	add(actionToken(routeRegister, "TOKEN1234"))
	add(actionToken(routeConnection, "TOKEN5678"))
	add(actionReply{Status: "success", Route: routeDecision, Message: "TalkTo: [ann]\nMessage: Hello."})
	none := actionToken(routeDisconnect, "")
	none.Message = "Disconnected"
	add(none)
	for _, frame := range []string{`{`, `{"action":"Register"}`, `{"action":"Status"}`, `{"action":"Disconnect"}`} {
		if _, refusal := readAction(parseFrame([]byte(frame))); refusal != nil {
			add(*refusal)
		}
	}
	add(actionFailure(routeRegister, &events.Error{Code: events.CodeInvalidAPIKey}))
	add(actionFailure(routeRegister, &events.Error{Code: events.CodeConflict}))
	add(actionFailure(routeConnection, &events.Error{Code: events.CodeNotFound}))
	add(actionFailure(routeConnection, &events.Error{Code: events.CodeTooManyFailures, Message: "too many failed attempts: wait, then try again", RetryAfter: 4}))
	add(actionFailure(routeDecision, events.FieldErrorf("message", "has %d bytes, and may have %d", 20000, 16384)))
	add(actionFailure(routeDecision, events.Errorf(events.CodeRateLimited, "%d decisions of this account wait already: wait for an answer", 8)))
	for _, route := range []string{routeRegister, routeConnection, routeDecision, routeDisconnect} {
		add(actionFailure(route, errors.New("the database is away")))
	}
	for _, route := range []string{routeDecision, routeDisconnect} {
		for _, code := range []events.Code{events.CodeCredentialRevoked, events.CodeTokenSignature, events.CodeTokenExpired, events.CodeTokenClaims, events.CodeTokenInvalid} {
			add(actionFailure(route, &events.Error{Code: code}))
		}
	}
	return all
}
