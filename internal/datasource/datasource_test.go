package datasource_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/datasource"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
)

// The fixture is the same two tables in both databases.
const schema = `CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT);
	INSERT INTO people VALUES (1, 'Ada'), (2, 'Grace'), (3, '''; DROP TABLE people; --');
	CREATE TABLE secrets (word TEXT);
	INSERT INTO secrets VALUES ('hush');`

// A fixture is a database with what may be asked of it.
type fixture struct {
	driver string
	raw    *sql.DB
	source datasource.Source
	log    bytes.Buffer
}

// each runs a test with every kind of database.
func each(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Run("postgres", func(t *testing.T) {
		url := postgrestest.URL(t)
		test(t, newFixture(t, datasource.Postgres, "pgx", url))
	})
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "folder with ?&#", "data.db")
		test(t, newFixture(t, datasource.SQLite, "sqlite", path))
	})
}

// people are the queries of the fixture.
var people = []datasource.Query{
	{ID: "byName", SQL: "SELECT id, name FROM people WHERE name = @name ORDER BY id", Params: []datasource.Param{{Name: "name", Required: true}}},
	{ID: "all", SQL: "SELECT id, name FROM people ORDER BY id"},
	{
		ID: "add", SQL: "INSERT INTO people (id, name) VALUES (@id, @name)", Write: true,
		Params: []datasource.Param{{Name: "id", Type: "integer", Required: true}, {Name: "name", Type: "string", Default: "nobody"}},
	},
	{ID: "addAndTell", SQL: "INSERT INTO people (id, name) VALUES (@id, @runTenant) RETURNING name", Write: true, Params: []datasource.Param{{Name: "id", Type: "integer"}}},
}

func newFixture(t *testing.T, driver, name, url string) *fixture {
	t.Helper()
	f := &fixture{driver: driver, source: datasource.Source{
		Name: "data", Driver: driver, URL: url, AllowQueries: true, Queries: people, Timeout: 20 * time.Second, MaxRows: 100, MaxBytes: 1 << 20,
	}}
	if driver == datasource.SQLite {
		makeFolder(t, filepath.Dir(url))
	}
	dsn := url
	if driver == datasource.SQLite {
		dsn = "file:" + escape(url)
	}
	var err error
	if f.raw, err = sql.Open(name, dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.raw.Close() })
	if _, err := f.raw.Exec(schema); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) open(t *testing.T) *datasource.Sources {
	t.Helper()
	s, err := datasource.New(datasource.Options{Sources: []datasource.Source{f.source}, Logger: slog.New(slog.NewTextHandler(&f.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// ask runs SQL that a workflow brings.
func ask(t *testing.T, s *datasource.Sources, text string, args map[string]any) (any, error) {
	t.Helper()
	return s.Query(t.Context(), datasource.Request{Tenant: "acme", Source: "data", SQL: text, Args: args})
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestQueries(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		s := f.open(t)
		for _, tt := range []struct {
			id   string
			args map[string]any
			want string
		}{
			{"byName", map[string]any{"name": "Ada"}, `[{"id":1,"name":"Ada"}]`},
			{"byName", map[string]any{"name": "nobody"}, `[]`},
			{"all", nil, `[{"id":1,"name":"Ada"},{"id":2,"name":"Grace"},{"id":3,"name":"'; DROP TABLE people; --"}]`},
			{"add", map[string]any{"id": "4"}, `{"rowsAffected":1}`},
			{"byName", map[string]any{"name": "nobody"}, `[{"id":4,"name":"nobody"}]`},
			{"addAndTell", map[string]any{"id": 5.0}, `[{"name":"acme"}]`},
			{"byName", map[string]any{"name": "acme"}, `[{"id":5,"name":"acme"}]`},
		} {
			got, err := s.Query(t.Context(), datasource.Request{Tenant: "acme", ID: tt.id, Args: tt.args})
			if err != nil || encoded(t, got) != tt.want {
				t.Errorf("%s %v: %s %v, want %s", tt.id, tt.args, encoded(t, got), err, tt.want)
			}
		}
		if _, err := s.Query(t.Context(), datasource.Request{ID: "add", Args: map[string]any{"id": 1}}); err == nil || !strings.Contains(strings.ToLower(err.Error()), "unique") {
			t.Errorf("the same id again: %v", err)
		}
	})
}

// injections are values that would be something else if they were written
// into a query.
var injections = []string{
	"' OR '1'='1", "'; DROP TABLE people; --", "\\'; DROP TABLE people; --", "' UNION SELECT 1, word FROM secrets --", `" OR ""="`,
	"$1", "@name", "@id", ":name", "?", "?1", "$$; DROP TABLE people; $$", "/*", "*/", "--", ";", "{{ctx}}", "%", "_", "\n; DROP TABLE people", "Ada\\", "'", "''", "\\", "E'\\''", "ʼ OR 1=1", "\u02bc", "`", "]", "NULL",
}

// Values stay values wherever the parameter stands.
func TestInjection(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		s := f.open(t)
		for _, value := range injections {
			got, err := s.Query(t.Context(), datasource.Request{ID: "byName", Args: map[string]any{"name": value}})
			if n := len(got.([]any)); err != nil || n > 1 || n == 1 && value != "'; DROP TABLE people; --" {
				t.Errorf("%q: %v %v", value, got, err)
			}
			for _, text := range []string{
				`SELECT @v AS v`, `SELECT @v AS v -- @no '`, `SELECT /* ' @no */ @v AS v`, `SELECT @v AS v, '@no''' AS quoted, '--' AS c`, "SELECT\n@v\nAS v\n;\n", `SELECT @v AS "v"`,
			} {
				got, err := ask(t, s, text, map[string]any{"v": value})
				if err != nil || got.([]any)[0].(map[string]any)["v"] != value {
					t.Errorf("%s with %q: %v %v", text, value, got, err)
				}
			}
		}
		if f.driver == datasource.Postgres {
			for _, text := range []string{`SELECT @v::text AS v, $$ @no ' $$ AS d, $tag$ $$ @no $tag$ AS e`, `SELECT @v::text AS v, E'\'@no' AS e`, `SELECT /* /* */ @no */ @v::text AS v`} {
				got, err := ask(t, s, text, map[string]any{"v": "' OR 1"})
				if err != nil || got.([]any)[0].(map[string]any)["v"] != "' OR 1" {
					t.Errorf("%s: %v %v", text, got, err)
				}
			}
		}
		f.unchanged(t)
	})
}

// unchanged fails if anything was written.
func (f *fixture) unchanged(t *testing.T) {
	t.Helper()
	var n, secrets int
	if err := f.raw.QueryRow(`SELECT (SELECT COUNT(*) FROM people WHERE name IN ('Ada', 'Grace', '''; DROP TABLE people; --')), (SELECT COUNT(*) FROM secrets)`).Scan(&n, &secrets); err != nil || n != 3 || secrets != 1 {
		t.Errorf("%d people and %d secrets are left: %v", n, secrets, err)
	}
	tables := `SELECT COUNT(*) FROM sqlite_master`
	if f.driver == datasource.Postgres {
		tables = `SELECT COUNT(*) FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace = 'public'::regnamespace`
	}
	if err := f.raw.QueryRow(tables).Scan(&n); err != nil || n != 2 {
		t.Errorf("there are %d tables: %v", n, err)
	}
}

// Nothing that a workflow brings writes.
func TestReadOnly(t *testing.T) {
	shared := []string{
		"INSERT INTO people VALUES (9, 'x')", "UPDATE people SET name = 'x'", "DELETE FROM people", "DROP TABLE people", "CREATE TABLE t (a INTEGER)",
		"CREATE TEMP TABLE t (a INTEGER)", "ALTER TABLE people ADD COLUMN a TEXT", "SELECT 1; DELETE FROM people", "SELECT 1;; DELETE FROM people --",
		"/* SELECT */ DELETE FROM people", "-- SELECT\nDELETE FROM people", "(DELETE FROM people)", ";DELETE FROM people", "VACUUM", "BEGIN", "COMMIT; DELETE FROM people", "COMMIT", "ROLLBACK",
		"EXPLAIN ANALYZE DELETE FROM people", "REINDEX", "ANALYZE", "", "--", "SELECT 'open", "/* SELECT 1", "{{ctx.sql}}", "SELECT '{{ctx.name}}'", "1",
	}
	special := map[string][]string{
		datasource.Postgres: {
			"WITH gone AS (DELETE FROM people RETURNING *) SELECT * FROM gone", "SELECT * INTO copy FROM people", "SELECT nextval('numbers')", "SELECT setval('numbers', 100)",
			"SELECT write_one()", "SELECT set_config('transaction_read_only', 'off', false)", "SELECT set_config('transaction_read_only', 'off', true), write_one()",
			"WITH s AS MATERIALIZED (SELECT set_config('transaction_read_only', 'off', true)) SELECT write_one() FROM s",
			"SET TRANSACTION READ WRITE", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "SET default_transaction_read_only = off", "RESET ALL",
			"COPY people TO STDOUT", "COPY people FROM PROGRAM 'echo'", "COPY people TO PROGRAM 'cat'", "COPY (SELECT 1) TO '/tmp/roomcast-never'", "DO $$ BEGIN DELETE FROM people; END $$", "CALL write_proc()",
			"PREPARE p AS DELETE FROM people", "EXECUTE p", "LISTEN x", "NOTIFY x", "LOCK TABLE people", "DECLARE c CURSOR FOR SELECT 1", "TRUNCATE people", "SELECT 1 FROM people FOR UPDATE",
			"SELECT query_to_xml('DELETE FROM people', true, true, '')", "SELECT lo_from_bytea(0, 'x')", "MERGE INTO people USING secrets ON true WHEN MATCHED THEN DELETE",
			"SELECT $$ ; DELETE FROM people; $$; DELETE FROM people", "SELECT 1 /* /* */ ; */ ; DELETE FROM people", "DISCARD ALL", "CREATE ROLE x", "LOAD 'x'", "SECURITY LABEL ON TABLE people IS 'x'",
		},
		datasource.SQLite: {
			"WITH x AS (SELECT 1) DELETE FROM people", "WITH x AS (SELECT 1) INSERT INTO people SELECT 9, 'x'", "REPLACE INTO people VALUES (1, 'x')", "PRAGMA query_only = 0", "PRAGMA writable_schema = 1",
			"SELECT * FROM pragma_query_only", "SELECT * FROM pragma_journal_mode('off')", "ATTACH 'other.db' AS other", "DETACH main", "SELECT load_extension('x')", "VACUUM INTO 'copy.db'",
			"SAVEPOINT s", "RELEASE s", "SELECT 1 [;] ; DELETE FROM people", "SELECT `;` ; DELETE FROM people", "SELECT 1 /* /* */ ; DELETE FROM people -- */", "CREATE VIRTUAL TABLE t USING fts5(a)",
		},
	}
	each(t, func(t *testing.T, f *fixture) {
		if f.driver == datasource.Postgres {
			if _, err := f.raw.Exec(`CREATE SEQUENCE numbers;
				CREATE FUNCTION write_one() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO people VALUES (9, ''x'') RETURNING id';
				CREATE PROCEDURE write_proc() LANGUAGE sql AS 'DELETE FROM people'`); err != nil {
				t.Fatal(err)
			}
		}
		s := f.open(t)
		for _, text := range append(shared, special[f.driver]...) {
			got, err := ask(t, s, text, nil)
			harmless := strings.Contains(text, "set_config('transaction_read_only', 'off', false)") || strings.Contains(text, "lo_from_bytea") || strings.Contains(text, "FROM pragma_")
			if err == nil && !harmless {
				t.Errorf("%s: %v", text, got)
			}
			if err != nil && strings.Contains(err.Error(), "cannot be reached") {
				t.Errorf("%s: %v", text, err)
			}
		}
		if f.driver == datasource.Postgres {
			var objects int
			if err := f.raw.QueryRow(`SELECT COUNT(*) FROM pg_largeobject_metadata`).Scan(&objects); err != nil || objects != 0 {
				t.Errorf("%d large objects are left: %v", objects, err)
			}
		} else if _, err := f.raw.Exec(`SELECT 1`); err != nil {
			t.Error(err)
		}
		f.unchangedAfterSequence(t)
	})
}

func (f *fixture) unchangedAfterSequence(t *testing.T) {
	t.Helper()
	f.unchanged(t)
	if f.driver == datasource.Postgres {
		var called bool
		if err := f.raw.QueryRow(`SELECT is_called FROM numbers`).Scan(&called); err != nil || called {
			t.Errorf("the sequence went on: %v", err)
		}
	}
}

// What a query leaves in its session is gone before the next one.
func TestSessionsAreClean(t *testing.T) {
	f := newFixture(t, datasource.Postgres, "pgx", postgrestest.URL(t)) // nothing that may be said to SQLite leaves anything
	f.source.MaxConns = 1
	s := f.open(t)
	for _, text := range []string{"SELECT pg_advisory_lock(7)", "SELECT set_config('search_path', 'pg_catalog', false)", "SELECT set_config('role', 'pg_monitor', false)"} {
		if _, err := ask(t, s, text, nil); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	got, err := ask(t, s, "SELECT current_user AS u, (SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory') AS locks, (SELECT COUNT(*) FROM people) AS n", nil)
	if want := `[{"locks":0,"n":3,"u":"postgres"}]`; err != nil || encoded(t, got) != want {
		t.Errorf("got %s %v, want %s", encoded(t, got), err, want)
	}
}

func TestLimits(t *testing.T) {
	series := "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1000000000) SELECT "
	endless := map[string]string{"before the first row": series + "COUNT(*) FROM s", "after the first row": series + "n FROM s WHERE n = 1 OR n = 999999999"}
	each(t, func(t *testing.T, f *fixture) {
		large, huge := "SELECT repeat('x', 2000000) AS x", "SELECT repeat('x', 30000000) AS x"
		if f.driver == datasource.SQLite {
			large, huge = "SELECT hex(zeroblob(600000)) AS x", "SELECT hex(zeroblob(400000000)) AS x"
		}
		s := f.open(t)
		for text, want := range map[string]string{
			series + "n FROM s": "has more than 100 rows (maxRows)",
			large:               "larger than 1048576 bytes (maxBytes)",
			huge:                "larger than 1048576 bytes (maxBytes)",
			"SELECT name AS a, word AS a FROM people, secrets": `has two columns called "a"`,
		} {
			_, err := ask(t, s, text, nil)
			if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), `the query of data source "data": `) {
				t.Errorf("%s: %v, want %q", text, err, want)
			}
		}
		f.source.Timeout = 200 * time.Millisecond
		slow := f.open(t)
		for name, text := range endless {
			begun := time.Now()
			_, err := ask(t, slow, text, nil)
			if err == nil || !strings.Contains(err.Error(), "took longer than 200ms (timeout)") || time.Since(begun) > 15*time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(begun))
			}
		}
		eventually.True(t, func() bool { // what was stopped is out of the way
			got, err := ask(t, slow, "SELECT COUNT(*) AS n FROM people", nil)
			return err == nil && encoded(t, got) == `[{"n":3}]`
		})
	})
}

// A run that ends ends its query, and learns of no limit.
func TestEnded(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		s := f.open(t)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := s.Query(ctx, datasource.Request{Source: "data", SQL: "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT COUNT(*) AS n FROM s"})
		if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "timeout") {
			t.Error(err)
		}
	})
}

// A source that is away says no more than that, and the log no secret.
func TestAway(t *testing.T) {
	for driver, url := range map[string]string{
		datasource.Postgres: "postgres://someone:hidden@127.0.0.1:1/db", datasource.SQLite: "/nowhere/hidden.db", datasource.REST: "http://someone:hidden@127.0.0.1:1/hidden",
	} {
		q := datasource.Query{ID: "q", SQL: "SELECT 1 AS a"}
		if driver == datasource.REST {
			q = datasource.Query{ID: "q", Path: "/x"}
		}
		f := &fixture{source: datasource.Source{Name: "data", Driver: driver, URL: url, Queries: []datasource.Query{q}, AllowPrivate: driver == datasource.REST}}
		_, err := f.open(t).Query(t.Context(), datasource.Request{ID: "q"})
		if err == nil || err.Error() != `query "q" of data source "data": the data source cannot be reached` {
			t.Errorf("%s: %v", driver, err)
		}
		if log := f.log.String(); !strings.Contains(log, "source=data") || strings.Contains(log, "hidden") || strings.Contains(log, "someone") {
			t.Errorf("%s: the log says %s", driver, log)
		}
	}
}

var parameter = regexp.MustCompile(`@[a-z]+`)

func TestTypes(t *testing.T) {
	for driver, columns := range map[string][][2]string{
		datasource.Postgres: {
			{"NULL", "null"},
			{"true", "true"},
			{"5::smallint", "5"},
			{"9007199254740993::bigint", `"9007199254740993"`},
			{"1.5::float8", "1.5"},
			{"'NaN'::float8", `"NaN"`},
			{"12345678901234567890.10::numeric", `"12345678901234567890.10"`},
			{"'x'::bytea", `"eA=="`},
			{`'{"a": [1]}'::jsonb`, `{"a":[1]}`},
			{"'[1]'::json", "[1]"},
			{"DATE '2026-01-02'", `"2026-01-02"`},
			{"TIMESTAMP '2026-01-02 03:04:05.5'", `"2026-01-02T03:04:05.5"`},
			{"TIMESTAMPTZ '2026-01-02 03:04:05+02'", `"2026-01-02T01:04:05Z"`},
			{"'infinity'::timestamptz", `"infinity"`},
			{"TIME '03:04'", `"03:04:00"`},
			{"INTERVAL '1 day 2 hours'", `"P1DT2H"`},
			{"'00000000-0000-0000-0000-000000000001'::uuid", `"00000000-0000-0000-0000-000000000001"`},
			{"ARRAY[1, 2, NULL]", "[1,2,null]"},
			{"ARRAY[[1],[2]]", "[[1],[2]]"},
			{`ARRAY['a"b', 'c\d', 'NULL', '', 'e,f', '{']`, `["a\"b","c\\d","NULL","","e,f","{"]`},
			{"'{}'::text[]", "[]"},
			{"ARRAY[true]", "[true]"},
			{"ARRAY[1.10]", `["1.10"]`},
			{"'[0:1]={1,2}'::int[]", `"[0:1]={1,2}"`},
			{"'127.0.0.1'::inet", `"127.0.0.1"`},
			{"ARRAY['[1]'::jsonb]", "[[1]]"},
			{"@text", `"text"`},
			{"@n::numeric + 1", `"2.50"`},
			{"@list::int[]", "[1,2]"},
			{"@texts::text[]", `["a\"\\b",null,"c,d"]`},
			{"@json::jsonb", `{"a":[1]}`},
			{"@yes::boolean", "true"},
			{"@null::text", "null"},
		},
		datasource.SQLite: {
			{"NULL", "null"},
			{"5", "5"},
			{"9007199254740993", `"9007199254740993"`},
			{"1.5", "1.5"},
			{"9e999", `"+Inf"`},
			{"x'78'", `"eA=="`},
			{"(SELECT doc FROM typed)", `{"a":[1]}`},
			{"(SELECT at FROM typed)", `"2026-01-02T03:04:05Z"`},
			{"@text", `"text"`},
			{"@n + 1", "2.5"},
			{"(SELECT SUM(value) FROM json_each(@list))", "3"},
			{"json_extract(@json, '$.a[0]')", "1"},
			{"@yes", "1"},
			{"@null", "null"},
		},
	} {
		each(t, func(t *testing.T, f *fixture) {
			if f.driver != driver {
				return
			}
			if driver == datasource.SQLite {
				if _, err := f.raw.Exec(`CREATE TABLE typed (doc JSON, at DATETIME); INSERT INTO typed VALUES ('{"a":[1]}', '2026-01-02 03:04:05')`); err != nil {
					t.Fatal(err)
				}
			}
			s := f.open(t)
			values := map[string]any{
				"text": "text", "n": "1.50", "list": []any{1.0, 2.0}, "texts": []any{`a"\b`, nil, "c,d"}, "json": map[string]any{"a": []any{1.0}}, "yes": true, "null": nil,
			}
			for _, c := range columns {
				args := map[string]any{}
				for _, name := range parameter.FindAllString(c[0], -1) {
					args[name[1:]] = values[name[1:]]
				}
				got, err := ask(t, s, "SELECT "+c[0]+" AS v", args)
				if want := `[{"v":` + c[1] + `}]`; err != nil || encoded(t, got) != want {
					t.Errorf("%s: %s %v, want %s", c[0], encoded(t, got), err, want)
				}
			}
		})
	}
}
