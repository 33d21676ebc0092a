package app_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/websocket"
)

func TestMetrics(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c, _, err := websocket.Dial(t.Context(), s.URL+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	bad, _, err := websocket.Dial(t.Context(), s.URL+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	bad.WriteMessage(websocket.OpText, []byte("garbage"))
	for err == nil {
		_, _, err = bad.ReadMessage()
	}
	get := func(header, value string) (int, string) {
		req, _ := http.NewRequest("GET", s.URL+"/metrics", nil)
		if header != "" {
			req.Header.Set(header, value)
		}
		if strings.HasPrefix(value, "Bearer") {
			req.Header.Set("X-Forwarded-For", "192.0.2.1")
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	// The client sees the close frame before the server has seen its answer.
	var status int
	var body string
	eventually.True(t, func() bool {
		status, body = get("", "")
		return !strings.Contains(body, `{transport="websocket"} 2`)
	})
	for _, want := range []string{
		`roomcast_connections{transport="websocket"} 1`, `roomcast_connections{transport="polling"} 0`, "roomcast_connections_opened_total 2",
		`roomcast_connections_closed_total{reason="parse error"} 1`, "roomcast_send_queue_bytes 0", "roomcast_sessions 0", "go_goroutines",
		`roomcast_credentials_total{result="verified"} 0`,
	} {
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("%d: %q is missing", status, want)
		}
	}
	for _, tt := range []struct {
		header, value string
		status        int
	}{
		{"X-Forwarded-For", "192.0.2.1", 403},
		{"Authorization", "Bearer " + s.Token("bob", "default", auth.Member), 403},
		{"Authorization", "Bearer " + s.Token("ada", "default", auth.Admin), 200},
	} {
		if status, _ := get(tt.header, tt.value); status != tt.status {
			t.Errorf("%s %.12s: %d, want %d", tt.header, tt.value, status, tt.status)
		}
	}
}
