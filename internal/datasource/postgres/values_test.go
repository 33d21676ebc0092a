package postgres

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
)

func TestArrays(t *testing.T) {
	for _, s := range []string{"", "{", "{1", "{1,", `{"a`, `{"a\`, "{,}", "{1}}", "{{1}", "[0:1]={1,2}"} {
		if got := decode(pgtype.Int4ArrayOID, []byte(s)); got != s {
			t.Errorf("%q became %v", s, got)
		}
	}
	if got, _ := json.Marshal(decode(pgtype.TextArrayOID, []byte(`{{a,NULL},{"NULL","b\"\\"}}`))); string(got) != `[["a",null],["NULL","b\"\\"]]` {
		t.Errorf("got %s", got)
	}
}

// What is written as an array is read as the same texts.
func FuzzArray(f *testing.F) {
	f.Add("a", `b"\,{}`)
	f.Add("", "NULL")
	f.Fuzz(func(t *testing.T, a, b string) {
		decode(pgtype.TextArrayOID, []byte(a))
		list := []any{a, nil, []any{b}}
		raw, err := encode(list)
		if err != nil {
			t.Fatal(err)
		}
		if got := decode(pgtype.TextArrayOID, raw); !reflect.DeepEqual(got, list) {
			t.Errorf("%q became %v", raw, got)
		}
	})
}
