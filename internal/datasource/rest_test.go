package datasource_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/datasource"
)

// service is a source that echoes, with a handler for what goes wrong.
func service(t *testing.T, handler http.HandlerFunc, change func(*datasource.Source)) (*datasource.Sources, *bytes.Buffer) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	param := func(name string) datasource.Param { return datasource.Param{Name: name} }
	src := datasource.Source{
		Name: "crm", Driver: datasource.REST, URL: server.URL + "/base%2Fpath/", AllowPrivate: true, Timeout: 20 * time.Second, MaxBytes: 10_000, MaxRows: 3,
		Headers: []datasource.Header{{Name: "Authorization", Value: "Bearer hidden"}},
		Queries: []datasource.Query{
			{ID: "get", Path: "/contacts/@id/notes", Fields: []datasource.Field{{Name: "q", Value: "@q"}, {Name: "fixed", Value: "a b"}}, Params: []datasource.Param{param("id"), param("q")}},
			{
				ID: "post", Method: "POST", Write: true, Path: "/notes", Body: `{"text": "@text", "tags": ["@tag", "fixed"], "n": 1, "by": "@runUser"}`,
				Params: []datasource.Param{param("text"), param("tag")},
			},
			{ID: "plain", Path: "/"},
		},
	}
	if change != nil {
		change(&src)
	}
	var log bytes.Buffer
	s, err := datasource.New(datasource.Options{Sources: []datasource.Source{src}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, &log
}

// Values stay values in each of their places.
func TestREST(t *testing.T) {
	s, _ := service(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		json.NewEncoder(w).Encode(map[string]any{"uri": r.RequestURI, "body": string(body), "auth": r.Header.Get("Authorization"), "key": r.Header.Get("Idempotency-Key")})
	}, nil)
	ask := func(id string, args map[string]any) map[string]any {
		t.Helper()
		got, err := s.Query(t.Context(), datasource.Request{ID: id, Args: args, User: "ada", Key: "the key"})
		if err != nil {
			t.Fatal(err)
		}
		return got.(map[string]any)
	}
	for value, want := range map[string]string{
		"7": "/base%2Fpath/contacts/7/notes?fixed=a+b&q=7", "a/../b?x=y#z": "/base%2Fpath/contacts/a%2F..%2Fb%3Fx=y%23z/notes?fixed=a+b&q=a%2F..%2Fb%3Fx%3Dy%23z",
		"%2e%2e": "/base%2Fpath/contacts/%252e%252e/notes?fixed=a+b&q=%252e%252e", "&admin=1": "/base%2Fpath/contacts/&admin=1/notes?fixed=a+b&q=%26admin%3D1",
		"@host\r\nX: y": "/base%2Fpath/contacts/@host%0D%0AX:%20y/notes?fixed=a+b&q=%40host%0D%0AX%3A+y", "@runUser": "/base%2Fpath/contacts/@runUser/notes?fixed=a+b&q=%40runUser",
	} {
		if got := ask("get", map[string]any{"id": value, "q": value}); got["uri"] != want || got["auth"] != "Bearer hidden" || got["key"] != "" {
			t.Errorf("%q: %v, want %s", value, got, want)
		}
	}
	if got := ask("get", map[string]any{"id": 7, "q": []any{"a", 2.0, true}}); got["uri"] != "/base%2Fpath/contacts/7/notes?fixed=a+b&q=a&q=2&q=true" {
		t.Errorf("a list: %v", got)
	}
	if got := ask("get", map[string]any{"id": 7}); got["uri"] != "/base%2Fpath/contacts/7/notes?fixed=a+b" {
		t.Errorf("null: %v", got)
	}
	got := ask("post", map[string]any{"text": `","admin":true,"x":"@tag`, "tag": map[string]any{"a": 1.0}})
	if want := `{"by":"ada","n":1,"tags":[{"a":1},"fixed"],"text":"\",\"admin\":true,\"x\":\"@tag"}`; got["body"] != want || got["key"] != "the key" {
		t.Errorf("got %v, want %s", got, want)
	}
	for _, value := range []any{"", ".", "..", nil} {
		if _, err := s.Query(t.Context(), datasource.Request{ID: "get", Args: map[string]any{"id": value}}); err == nil || !strings.Contains(err.Error(), "cannot be a segment of the path") {
			t.Errorf("%v: %v", value, err)
		}
	}
}

func TestRESTAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"list":      {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `[{"a":1}]`) }, `[{"a":1}]`},
		"text":      {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "plain") }, `"plain"`},
		"nothing":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, `{"status":204}`},
		"many rows": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `[1,2,3,4]`) }, "has more than 3 rows (maxRows)"},
		"large":     {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 10_001)) }, "larger than 10000 bytes (maxBytes)"},
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "hidden", http.StatusTeapot)
		}, "the service answered 418 I'm a teapot"},
		"slow": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "took longer than 300ms (timeout)"},
		"slow body": {func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("["))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "took longer than 300ms (timeout)"},
		"redirects": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}, "more than 5 redirects"},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			w.Write([]byte("x"))
		}, "the data source cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			s, log := service(t, tt.serve, func(s *datasource.Source) {
				if strings.Contains(tt.want, "timeout") {
					s.Timeout = 300 * time.Millisecond
				}
			})
			got, err := s.Query(t.Context(), datasource.Request{ID: "plain"})
			text := encoded(t, got)
			if err != nil {
				text = err.Error()
				if !strings.HasPrefix(text, `query "plain" of data source "crm": `) {
					t.Error(text)
				}
			}
			if !strings.Contains(text, tt.want) || strings.Contains(text+log.String(), "hidden") {
				t.Errorf("got %s, want %s; the log says %s", text, tt.want, log)
			}
		})
	}
	s, _ := service(t, func(http.ResponseWriter, *http.Request) { t.Error("it was reached") }, func(s *datasource.Source) { s.AllowPrivate = false })
	if _, err := s.Query(t.Context(), datasource.Request{ID: "plain"}); err == nil || !strings.Contains(err.Error(), "the address is private; who runs the server can allow it with allowPrivate of the data source") {
		t.Error(err)
	}
}
