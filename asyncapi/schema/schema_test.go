package schema

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// library compiles as package asyncapi does.
func library(t testing.TB, source string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.AssertFormat()
	if err := c.AddResource("test:schema", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("test:schema")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// accepts is the library's verdict.
func accepts(s *jsonschema.Schema, raw []byte) bool {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	return json.Valid(raw) && d.Decode(&v) == nil && s.Validate(v) == nil
}

func TestKeywords(t *testing.T) {
	for _, tt := range []struct{ schema, values string }{
		{`{}`, `null true "" 0 [] {} [[{"a":[{}]}]] {"\u0061":1}`},
		{`true`, `1 {}`},
		{`false`, `1 {}`},
		{`{"type":"integer"}`, `1 1.0 1e0 10e-1 1.5 1e-1 -0 -0.0 0.0 1E+2 12345678901234567890 12345678901234567890.5 1e400 1e99999 "1" true null`},
		{`{"type":["string","null"]}`, `"x" null 1 [] {}`},
		{`{"type":["number","boolean"]}`, `1 1.5 true false "x"`},
		{`{"minimum":0,"exclusiveMaximum":1e3}`, `-1 0 -0 0.0 999 999.999 1000 1e3 1e2 100000e-2 "x" -0.0001 0.00001e-5 123456789012345678 1234567890123456789`},
		{`{"maximum":0.25,"exclusiveMinimum":-2.5}`, `0.25 0.250 25e-2 0.2500001 -2.5 -2.49 -25e-1 -1e18 1e18 -3`},
		{`{"enum":["a","é","a\"b",1,1.50,true,null]}`, `"a" "é" "\u0061" "\u00e9" "a\"b" 1 1.0 1.5 15e-1 2 true false null [] {} "b"`},
		{`{"enum":["a\\nb"]}`, `"a\\nb" "a\nb"`},
		{`{"const":"x"}`, `"x" "\u0078" "y" 1`},
		{`{"const":-3}`, `-3 3 -30e-1 -3.0 -3.1`},
		{`{"minLength":2,"maxLength":3}`, `"a" "ab" "abc" "abcd" "é" "éé" "😀😀😀" "😀😀😀😀" "\ud83d\ude00" "\ud83d\ude00x" "\ud83d\ud83d" "\ud83dab" "\n\t" "\u0061b" "\"" 1 "\ud800\udc00\udc00"`},
		{`{"pattern":"^a.c$"}`, `"abc" "ac" "a\u0062c" "aéc" 1`},
		{`{"format":"uuid"}`, `"7c9e6679-7425-40de-944b-e07fc1f90ae7" "7C9E6679-7425-40DE-944B-E07FC1F90AE7" "7c9e6679-7425-40de-944b-e07fc1f90ae" "7c9e6679_7425-40de-944b-e07fc1f90ae7" "7c9e6679-7425-40de-944b-e07fc1f90aeg" "\u0037c9e6679-7425-40de-944b-e07fc1f90ae7" 1`},
		{`{"format":"date-time"}`, `"2026-01-02T15:04:05Z" "2026-01-02T15:04:05.000Z" "2026-02-29T15:04:05Z" "2024-02-29T15:04:05Z" "2026-04-31T15:04:05Z" "2026-04-30T15:04:05+01:30" "2026-12-31T23:59:60Z" "2026-01-02t15:04:05z" "2026-01-02 15:04:05Z" "2026-01-02T24:04:05Z" "2026-13-02T15:04:05Z" "2026-00-02T15:04:05Z" "2026-01-02T15:04:05." "2026-01-02T15:04:05.Z" "2026-01-02T15:04:05+24:00" "x" ""`},
		{`{"format":"no such format"}`, `"x"`},
		{`{"items":{"type":"string"},"minItems":1,"maxItems":2}`, `[] ["a"] ["a","b"] ["a","b","c"] [1] [ "a" , 1 ] {} 1`},
		{`{"properties":{"a":{"type":"string"},"b":{}},"required":["a","z"]}`, `{} {"a":"x","z":1} {"a":1,"z":1} {"a":"x"} {"a":"x","z":1,"q":[]} {"\u0061":"x","z":1} {"a":1,"a":"x","z":1} {"a":"x","a":1,"z":1} []`},
		{`{"properties":{"a":{}},"required":["b"],"additionalProperties":false}`, `{} {"a":1} {"b":1} {"a":1,"b":2}`},
		{`{"properties":{"a":{}},"required":["b"],"additionalProperties":{"type":"integer"}}`, `{"b":1} {"b":"x"} {"b":1,"c":2} {"b":1,"c":"x"} {"b":1,"c":"x","c":2}`},
		{`{"type":"object","properties":{"a":{"type":"string"}},"anyOf":[{"required":["a"]},{"required":["b","c"]}]}`, `{} {"a":"x"} {"b":1} {"b":1,"c":1} {"a":1} []`},
		{`{"anyOf":[{"required":["a"]},{"type":"string"}]}`, `{} {"a":1} "x" 1`},
		{`{"allOf":[{"required":["a"]},{"properties":{"a":{"type":"string"}}}],"type":"object"}`, `{} {"a":"x"} {"a":1} 1`},
		{`{"oneOf":[{"type":"string"},{"maxLength":2},{"type":"array"}]}`, `"abc" "ab" 1 [] {}`},
		// What comes twice, where calling a valid branch invalid would show.
		{`{"oneOf":[{"properties":{"a":{"type":"string"}}},{"properties":{"a":{"type":"integer"}}}]}`, `{"a":1} {"a":"x"} {"a":1,"a":"x"} {} {"a":null} {"a":1,"b":{"a":1,"a":2}}`},
		{`{"oneOf":[{"additionalProperties":{"type":"string"}},{"required":["a"]}]}`, `{"a":1} {"a":1,"a":"x"} {"b":"x"} {"b":1} {}`},
		{`{"oneOf":[{"properties":{"ok":{"const":true}},"required":["ok"]},{"properties":{"ok":{"enum":[false,"no"]},"a":{"type":"string"}}}]}`, `{"ok":true} {"ok":false,"a":"x"} {"ok":false,"a":1} {"ok":"no"} {"ok":"\u006eo"} {"\u006fk":true} {"ok":1} {"ok":true,"ok":false} {"ok":true,"a":1,"ok":"no"} {"a":"x","ok":true} {} {"ok"} {"ok":} {"ok {"okay":true} {"ok":truex} {"ok":[]} []`},
		{`{"oneOf":[{"properties":{"t":{"enum":["a","b"]}}},{"properties":{"t":{"enum":["b","c"]}},"type":"object"}]}`, `{"t":"a"} {"t":"b"} {"t":"c"} {"t":"d"} {} 1 {"t":"a","t":"b"} {"t":"b","t":"a"}`},
		{`{"definitions":{"tree":{"properties":{"sub":{"items":{"$ref":"#/definitions/tree"}}},"required":["v"]}},"$ref":"#/definitions/tree"}`, `{"v":1} {"v":1,"sub":[{"v":2,"sub":[]}]} {"v":1,"sub":[{"sub":[]}]}`},
		{`{"type":"string"}`, `` + "\"\xff\" \"a\x01\" \"\\x\" \"\\u12\" \"\\u12g4\" \"a tru nul 01 1. .5 -  1e 1e+ + [1,] [1 {\"a\"} {\"a\":} {\"a\":1,} {,} {a:1} {\"a\":1 \"b\":2} ] } \"\\"},
		{`{}`, "\"\xff\" \"a\x01\" \"\\x\" \"\\u12\" \"\\u12g4\" \"a tru nul truex 01 1. .5 - 1e 1e+ + [1,] [1 [1]] {\"a\"} {\"a\":} {\"a\":1,} {,} {a:1} {\"a\":1_\"b\":2} ] } \"\\"},
		{`{"maxLength":1}`, "\"\xff\" \"\xff\xfe\" \"\xc3\" \"\xe2\x82\""},
	} {
		full := library(t, tt.schema)
		fast, err := Compile(full)
		if err != nil {
			t.Errorf("%s: %v", tt.schema, err)
			continue
		}
		for _, value := range strings.Split(tt.values, " ") {
			agree(t, tt.schema, fast, full, []byte(value))
			agree(t, tt.schema, fast, full, []byte(" \n"+value+"\t"))
		}
	}
}

// agree compares the two verdicts.
func agree(t *testing.T, name string, fast *Schema, full *jsonschema.Schema, raw []byte) {
	t.Helper()
	want := accepts(full, raw)
	if fast.Valid(raw) && !want {
		t.Errorf("%s: %q: is valid, the library says no", name, raw)
	}
	if valid, certain := Verdict(fast, raw); certain && valid != want {
		t.Errorf("%s: %q: got %v, the library says %v", name, raw, valid, want)
	}
}

// The usual values get a verdict: what is given up costs the library's time.
func TestCertainty(t *testing.T) {
	for _, tt := range []struct{ schema, value string }{
		{`{"type":"integer","minimum":0}`, `1767366245000`},
		{`{"type":"integer"}`, `1.0`},
		{`{"format":"date-time"}`, `"2026-01-31T15:04:05.000Z"`},
		{`{"maxLength":4}`, `"h\u00e9\n\ud83d\ude00"`},
		{`{"oneOf":[{"properties":{"ok":{"const":true}}},{"properties":{"ok":{"const":false}}}]}`, `{"ok":false,"a":{"b":1,"\u0062":2}}`},
	} {
		fast, err := Compile(library(t, tt.schema))
		if err != nil {
			t.Fatal(err)
		}
		if valid, certain := Verdict(fast, []byte(tt.value)); !valid || !certain {
			t.Errorf("%s: %s: valid %v, certain %v", tt.schema, tt.value, valid, certain)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, schema := range []string{
		`{"uniqueItems":true}`, `{"not":{}}`, `{"if":{},"then":false}`, `{"contains":{}}`,
		`{"multipleOf":2}`, `{"minProperties":1}`, `{"patternProperties":{"a":{}}}`,
		`{"propertyNames":{}}`, `{"dependencies":{"a":["b"]}}`, `{"items":[{}]}`,
		`{"format":"email"}`, `{"const":{}}`, `{"enum":[[]]}`, `{"minimum":1e30}`,
		`{"properties":{"a":{"items":{"not":{}}}}}`, `{"$ref":"#"}`, `{"enum":[1],"const":1}`,
		`{"$schema":"https://json-schema.org/draft/2020-12/schema"}`,
	} {
		if _, err := Compile(library(t, schema)); err == nil {
			t.Errorf("%s was compiled", schema)
		} else if !strings.Contains(err.Error(), "test:schema#") {
			t.Errorf("%s: %v does not say where", schema, err)
		}
	}
}

func TestDepth(t *testing.T) {
	fast, err := Compile(library(t, `{}`))
	if err != nil {
		t.Fatal(err)
	}
	deep := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	if !fast.Valid(deep(maxDepth)) {
		t.Error("the deepest value is not valid")
	}
	if valid, certain := Verdict(fast, deep(maxDepth+1)); valid || certain {
		t.Error("one too deep has a verdict")
	}
	endless, err := Compile(library(t, `{"oneOf":[{"$ref":"#"},{"$ref":"#"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if valid, certain := Verdict(endless, []byte(`1`)); valid || certain {
		t.Error("an endless schema has a verdict")
	}
}
