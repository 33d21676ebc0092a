package socketio

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestDecodePacket(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`0`, `0 / - `},
		{`0/admin`, `0 /admin - `},
		{`0/admin,{"token":1}`, `0 /admin - {"token":1}`},
		{`0/admin?token=a,`, `0 /admin?token=a - `},
		{`0{"token":1}`, `0 / - {"token":1}`},
		{`1/admin,`, `1 /admin - `},
		{`2["a",1]`, `2 / - ["a",1]`},
		{`212["a",1]`, `2 / 12 ["a",1]`},
		{`2/n,0["a"]`, `2 /n 0 ["a"]`},
		{`3/n,7[1]`, `3 /n 7 [1]`},
		{`52-/n,8["a",{"_placeholder":true,"num":0}]`, `5.2 /n 8 ["a",{"_placeholder":true,"num":0}]`},
		{`61-8[{}]`, `6.1 / 8 [{}]`},
	} {
		p, err := decodePacket([]byte(tt.in))
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		kind, id := string(p.kind), "-"
		if p.kind.binary() {
			kind += fmt.Sprintf(".%d", p.attachments)
		}
		if p.hasID {
			id = fmt.Sprint(p.id)
		}
		if got := fmt.Sprintf("%s %s %s %s", kind, p.namespace, id, p.data); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.in, got, tt.want)
		}
	}
	for _, in := range []string{"", "7", "x", "abc", "5", "50", "5-", "511-", "5999999999-", "5a-[]", "2" + strings.Repeat("9", 16) + "[]"} {
		if _, err := decodePacket([]byte(in)); !errors.Is(err, errPacket) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestEventArgs(t *testing.T) {
	for _, tt := range []struct{ in, name, args string }{
		{`["a"]`, "a", ``},
		{` [ "a" , 1 , {"b":[ ]} ] `, "a", `1 {"b":[ ]}`},
		{`["a\n\u00e9",null]`, "a\né", `null`},
	} {
		name, args, err := eventArgs([]byte(tt.in), nil)
		got := []string{}
		for _, a := range args {
			got = append(got, string(a))
		}
		if err != nil || name != tt.name || strings.Join(got, " ") != tt.args {
			t.Errorf("%s: %q %q %v", tt.in, name, got, err)
		}
	}
	for _, in := range []string{
		``, `{}`, `[]`, `[1]`, `["x"]garbage`, `["x",]`, `["x"`, `["x" 1]`, `["connect"]`, `["disconnecting"]`, `null`, `"x"`,
		"[\"x\x01\"]", `["x",01]`, `["x",1.]`, `["x",-]`, `["x",1e]`, `["x",tru]`, `["\x"]`, `["\u12g4"]`, `["x",{"a"}]`, `["x",{1:2}]`, `["x",{"a":1,}]`,
		`["x",` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `]`,
	} {
		if _, _, err := eventArgs([]byte(in), nil); !errors.Is(err, errPacket) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestAppendEvent(t *testing.T) {
	for _, tt := range []struct{ namespace, event, want string }{
		{"/", "a", `2["a",1]`},
		{"/n", "a", `2/n,["a",1]`},
		{"/", "é\"", `2["é\"",1]`},
	} {
		if got := string(appendEvent(nil, tt.namespace, tt.event, []json.RawMessage{json.RawMessage("1")}, 0)); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
