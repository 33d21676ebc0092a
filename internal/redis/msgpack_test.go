package redis

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestMsgpack(t *testing.T) {
	for _, tt := range []struct{ js, msgpack, back string }{
		{`null`, "c0", ""},
		{` true `, "c3", "true"},
		{`[1,-1,-33,127,128,255,256,65536,4294967296,-129,-32769,-2147483649]`, "9c01ffd0df7fcc80ccffcd0100ce00010000cf0000000100000000d1ff7fd2ffff7fffd3ffffffff7fffffff", ""},
		{`18446744073709551615`, "cfffffffffffffffff", ""},
		{`-9223372036854775808`, "d38000000000000000", ""},
		{`36893488147419103232`, "cb4400000000000000", "36893488147419103000"},
		{`1.5`, "cb3ff8000000000000", ""},
		{`1e400`, "cb7ff0000000000000", "null"},
		{`1e-7`, "cb3e7ad7f29abcaf48", "1e-07"},
		{`"é\n\u00e9\ud83d\ude00\ud800x\/"`, "b0c3a90ac3a9f09f9880efbfbd782f", `"é\né😀` + "\ufffd" + `x/"`},
		{`{"a":{"b":[]}, "c" : {} }`, "82a16181a16290a16380", `{"a":{"b":[]},"c":{}}`},
		{`{"_placeholder":true,"num":0}`, "c40101", ""},
		{`[{"num": 1, "_placeholder": true}]`, "91c402ffff", `[{"_placeholder":true,"num":0}]`},
		{`{"_placeholder":false}`, "81ac5f706c616365686f6c646572c2", ""},
		{`{"num":7}`, "81a36e756d07", ""},
	} {
		got, err := appendMsgpack(nil, []byte(tt.js), [][]byte{{1}, {0xff, 0xff}})
		if tt.js == `"é\n\u00e9\ud83d\ude00\ud800x\/"` {
			tt.msgpack = "ae" + tt.msgpack[2:] // of 14 bytes
		}
		if err != nil || hex.EncodeToString(got) != tt.msgpack {
			t.Errorf("%s: %x %v, want %s", tt.js, got, err, tt.msgpack)
			continue
		}
		if tt.back == "" {
			tt.back = tt.js
		}
		if back, _, err := fromMsgpack(got, attach); err != nil || string(back) != tt.back {
			t.Errorf("%s: came back as %s %v, want %s", tt.js, back, err, tt.back)
		}
	}
	for _, js := range []string{``, `{`, `[1`, `[1 2]`, `{"a"}`, `{"a":1,}`, `{1:2}`, `"\x"`, `"\u12"`, "\"\n\"", `nul`, `1 2`, `"`, `-`, `{"a":1}}`} {
		if got, err := appendMsgpack(nil, []byte(js), nil); err == nil {
			t.Errorf("%s: %x", js, got)
		}
	}
}

func TestMsgpackOfOthers(t *testing.T) {
	for msgpack, want := range map[string]string{
		"d6ff65920080":                   `"2024-01-01T00:00:00.000Z"`,
		"d7ff1d535f0065920080":           `"2024-01-01T00:00:00.123Z"`,
		"c70cff00000000ffffffff7c558180": `"1900-01-01T00:00:00.000Z"`,
		"c70cff000000000000003afff44180": `"+010000-01-01T00:00:00.000Z"`,
		"c70cff000000007fffffffffffffff": `null`,
		"d7000000018cc251f400":           `"2024-01-01T00:00:00.000Z"`,
		"d40000":                         `null`,
		"c7030001ff02":                   `{"_placeholder":true,"num":0}`,
		"ca3fc00000":                     `1.5`,
		"cb7ff8000000000001":             `null`,
		"8201a16102c3":                   `{"1":"a","2":true}`,
		"81c0c0":                         `{"null":null}`,
		"dc0001dd0000000001":             "",
		"dc0001dd00000000":               `[[]]`,
		"de0001a161df00000000":           `{"a":{}}`,
		"d903fffe61":                     "\"\ufffd\ufffda\"",
		"a3005c22":                       `"\u0000\\\""`,
		"c1":                             "",
		"d4057f":                         "",
		"93":                             "",
		"dfffffffff":                     "",
		"c6ffffffff00":                   "",
		"81920101c0":                     "",
		"92c40101" + "81ac5f706c616365686f6c646572c3": "",
	} {
		raw, _ := hex.DecodeString(msgpack)
		got, _, err := fromMsgpack(raw, attach)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %s %v, want %s", msgpack, got, err, want)
		}
	}
	if got, _, _ := fromMsgpack([]byte{0xc4, 2, 1, 255}, inline); string(got) != `{"type":"Buffer","data":[1,255]}` {
		t.Errorf("inline: %s", got)
	}
}

func TestMsgpackLong(t *testing.T) {
	for _, n := range []int{15, 16, 31, 32, 255, 256, 65535, 65536} {
		for _, value := range []any{strings.Repeat("x", n), make([]int, n), map[string]any{"a": numbered(n), "z": "end"}} {
			js, _ := json.Marshal(value)
			packed, err := appendMsgpack([]byte("prefix"), js, nil)
			if err != nil {
				t.Fatal(err)
			}
			back, _, err := fromMsgpack(packed[len("prefix"):], attach)
			if err != nil || !sameJSON(back, js) {
				t.Errorf("%d of %T: %v", n, value, err)
			}
		}
		bin := bytes.Repeat([]byte{7}, n)
		packed, err := appendMsgpack(nil, []byte(`{"_placeholder":true,"num":0}`), [][]byte{bin})
		if _, attachments, err2 := fromMsgpack(packed, attach); err != nil || err2 != nil || !bytes.Equal(attachments[0], bin) {
			t.Errorf("%d bytes: %v %v", n, err, err2)
		}
	}
	deep := strings.Repeat("[", 600) + strings.Repeat("]", 600)
	if _, err := appendMsgpack(nil, []byte(deep), nil); err != errDepth {
		t.Error(err)
	}
	if _, _, err := fromMsgpack(bytes.Repeat([]byte{0x91}, 1<<20), attach); err != errDepth {
		t.Error(err)
	}
}

func numbered(n int) map[string]int {
	m := map[string]int{}
	for i := range n {
		m[string(rune(0x100+i))] = i
	}
	return m
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// What decodes is JSON, and what it says survives another way round.
func FuzzFromMsgpack(f *testing.F) {
	for _, seed := range []string{"c0", "93a1619201cb3ff800000000000081a161c3", "d7ff1dcd650065920080", "c4020102", "81a178c70cff00000000ffffffff7c558180", "dc0010", "c8ffff00"} {
		raw, _ := hex.DecodeString(seed)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		js, attachments, err := fromMsgpack(b, attach)
		if err != nil {
			return
		}
		if !json.Valid(js) {
			t.Fatalf("not JSON: %q", js)
		}
		packed, err := appendMsgpack(nil, js, attachments)
		if err != nil {
			t.Fatalf("%s: %v", js, err)
		}
		again, more, err := fromMsgpack(packed, attach)
		if err != nil || !bytes.Equal(js, again) || !reflect.DeepEqual(attachments, more) {
			t.Fatalf("%s became %s (%v)", js, again, err)
		}
		if js, _, err := fromMsgpack(b, inline); err != nil || !json.Valid(js) {
			t.Fatalf("inline: %q %v", js, err)
		}
	})
}

func FuzzAppendMsgpack(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.5e3,"\u00e9\ud83d",{"_placeholder":true,"num":0}]}`, `[null,true,false]`, `{"num":1}`, `"\\"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, js []byte) {
		packed, err := appendMsgpack(nil, js, [][]byte{{1, 2}})
		if err != nil {
			if json.Valid(js) && bytes.Count(js, []byte("["))+bytes.Count(js, []byte("{")) < maxDepth {
				t.Fatalf("%q: %v", js, err)
			}
			return
		}
		if back, _, err := fromMsgpack(packed, inline); err != nil || !json.Valid(back) {
			t.Fatalf("%q came back as %q: %v", js, back, err)
		}
	})
}
