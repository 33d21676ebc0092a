package datasource

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		sql, driver string
		names       []string // nil if it is refused
	}{
		{"SELECT @a, @b, @a", SQLite, []string{"a", "b"}},
		{"select 1;\n-- end", Postgres, []string{}},
		{"((SELECT @a))", Postgres, []string{"a"}},
		{"SELECT '@a', \"@b\", e'\\'@c', $x$ @d $x$, $$ @e $$, a$b$ @f", Postgres, []string{"f"}},
		{"SELECT '@a', \"@b\", `@c`, [@d], 'it''s @e', @f", SQLite, []string{"f"}},
		{"SELECT /* /* */ @a */ 1", Postgres, []string{}},
		{"SELECT /* /* */ @a", SQLite, []string{"a"}},
		{"SELECT 1 -- @a\r, @b", Postgres, []string{"b"}},
		{"SELECT 1 -- @a\r, @b", SQLite, []string{}},
		{"SELECT @ -5, a @> b, a <@ b", Postgres, []string{}},
		{"SELECT 1; SELECT 2", SQLite, nil},
		{"SELECT [;]; DELETE FROM x", SQLite, nil},
		{"SELECT 'x", SQLite, nil},
		{"SELECT $$ x", Postgres, nil},
		{"SELECT /* x", Postgres, nil},
		{"SELECT [x", SQLite, nil},
		{";SELECT 1", SQLite, nil},
		{"SELECTED", SQLite, nil},
		{"-- SELECT", SQLite, nil},
		{"INSERT INTO x VALUES (1)", SQLite, nil},
		{"SELECT '{{a}}'", SQLite, nil},
	} {
		st, err := parse(tt.sql, tt.driver, false)
		if (err == nil) != (tt.names != nil) || !slices.Equal(st.names, tt.names) {
			t.Errorf("%s in %s: %v %v, want %v", tt.sql, tt.driver, st.names, err, tt.names)
		}
	}
	for _, sql := range []string{"INSERT INTO x VALUES (1)", "with x as (select 1) delete from y", "CALL p()"} {
		if _, err := parse(sql, Postgres, true); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// What is taken for one statement has the parameters that the driver finds: it
// asks for each of those, and for no other.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"SELECT @a", "SELECT '@a' /* @b */ -- @c\n, @d", "SELECT $a$ @b $a$, E'\\'@c'", `SELECT "@a", U&'@b'`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		parse(sql, SQLite, true)
		st, err := parse(sql, Postgres, true)
		if err != nil || !ascii(sql) {
			return // what the server makes of other characters is a matter of its encoding
		}
		values := pgx.StrictNamedArgs{}
		for _, name := range st.names {
			values[name] = 1
		}
		if _, _, err := values.RewriteQuery(context.Background(), nil, sql, nil); err != nil {
			t.Errorf("%q: %v, and the driver says: %v", sql, st.names, err)
		}
	})
}

func ascii(s string) bool {
	return !slices.ContainsFunc([]byte(s), func(c byte) bool { return c >= 0x80 })
}
