package moderation_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/chat/moderation"
)

func TestJudge(t *testing.T) {
	var answer atomic.Value // func(http.ResponseWriter, *http.Request)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer.Load().(func(http.ResponseWriter, *http.Request))(w, r)
	}))
	defer server.Close()
	c, err := moderation.New(moderation.Options{URL: server.URL + "/judge", Key: "hush", Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	text := moderation.Text{Tenant: "acme", User: "abc", Text: "private words", Direction: "prompt"}

	answer.Store(func(w http.ResponseWriter, r *http.Request) {
		var got moderation.Text
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &got); err != nil || got != text || r.URL.Path != "/judge" || r.Method != "POST" {
			t.Errorf("%s %s %s", r.Method, r.URL, body)
		}
		_, key := r.Header["Idempotency-Key"]
		if r.Header.Get("Authorization") != "Bearer hush" || r.Header.Get("Content-Type") != "application/json" || key {
			t.Errorf("%v", r.Header)
		}
		io.WriteString(w, `{"allowed": true, "more": 1}`)
	})
	if allowed, reason, err := c.Judge(t.Context(), text); !allowed || reason != "" || err != nil {
		t.Errorf("%v %q %v", allowed, reason, err)
	}

	say := func(status int, body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	answer.Store(say(200, `{"allowed": false, "reason": "it is\n\u0007about weapons."}`))
	if allowed, reason, err := c.Judge(t.Context(), text); allowed || reason != "it is about weapons" || err != nil {
		t.Errorf("%v %q %v", allowed, reason, err)
	}
	answer.Store(say(200, `{"allowed": false, "reason": "`+strings.Repeat("ü", 300)+`"}`))
	if _, reason, err := c.Judge(t.Context(), text); reason != strings.Repeat("ü", 200)+"…" || err != nil {
		t.Errorf("%q %v", reason, err)
	}

	for name, bad := range map[string]func(http.ResponseWriter, *http.Request){
		"status":   say(500, `{"allowed": true}`),
		"created":  say(201, `{"allowed": true}`),
		"nothing":  say(200, ""),
		"HTML":     say(200, "<html>private words"),
		"no field": say(200, `{"refused": false}`),
		"null":     say(200, `{"allowed": null}`),
		"text":     say(200, `{"allowed": "yes"}`),
		"endless":  say(200, `{"allowed": true, "x": "`+strings.Repeat("x", 1<<20)+`"}`),
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/judge" {
				t.Error("what was said went elsewhere")
			}
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		},
		"cut": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"hang": func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
	} {
		answer.Store(bad)
		allowed, _, err := c.Judge(t.Context(), text)
		if allowed || err == nil || strings.Contains(err.Error(), "private") || strings.Contains(err.Error(), "/judge") || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v, %v", name, allowed, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, u := range []string{"", "host/path", "ftp://host", "http://", "https://user:secret\x7f@host"} {
		if _, err := moderation.New(moderation.Options{URL: u}); err == nil || !strings.HasPrefix(err.Error(), "url: ") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", u, err)
		}
	}
}
