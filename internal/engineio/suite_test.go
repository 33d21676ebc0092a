package engineio

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/websocket"
)

// These are cases of the official suites beside those in server_test.go.

// A handshake that is wrong in one thing is refused, on either transport.
func TestHandshakeWrongInOneThing(t *testing.T) {
	f := newFixture(t, quick)
	for _, eio := range []string{"EIO=4", "EIO=3"} {
		for _, query := range []string{eio, eio + "&transport=abc"} {
			f.expect(400, "", query)
			if _, _, err := websocket.Dial(t.Context(), f.url+"?"+query, nil); !errors.Is(err, websocket.ErrHandshake) {
				t.Errorf("WebSocket %q: %v", query, err)
			}
		}
		for _, method := range []string{"POST", "PUT", "DELETE"} {
			req, _ := http.NewRequest(method, f.url+"?transport=polling&"+eio, nil)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != 400 {
				t.Errorf("%s %s: %s", method, eio, res.Status)
			}
		}
	}
	for _, query := range []string{"", "EIO=abc", "EIO=5", "EIO=2"} {
		f.expect(400, "", query+"&transport=polling")
		if _, err := f.dial(query); !errors.Is(err, websocket.ErrHandshake) {
			t.Errorf("WebSocket %q: %v", query, err)
		}
	}
}

// The open packet says the same on either transport, but for the upgrades.
func TestOpenPacket(t *testing.T) {
	f := newFixture(t, quick)
	for _, query := range []string{"EIO=4", "EIO=3"} {
		_, body := f.do(query + "&transport=polling")
		c := f.mustDial(query)
		_, packet, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		var sids []string
		for _, text := range []string{body[strings.Index(body, "0{"):], string(packet)} {
			var h map[string]any
			if err := json.Unmarshal([]byte(text[1:]), &h); err != nil {
				t.Fatalf("%s: %q: %v", query, text, err)
			}
			sid, _ := h["sid"].(string)
			sids = append(sids, sid)
			upgrades, ok := h["upgrades"].([]any)
			if len(sid) == 0 || !ok || h["pingInterval"] != 300.0 || h["pingTimeout"] != 200.0 || h["maxPayload"] != 1e6 || len(h) != 5 {
				t.Errorf("%s: %q", query, text)
			}
			if polling := len(sids) == 1; polling != (len(upgrades) == 1 && upgrades[0] == "websocket") {
				t.Errorf("%s: upgrades %v", query, upgrades)
			}
		}
		if sids[0] == sids[1] {
			t.Errorf("%s: two connections have the id %s", query, sids[0])
		}
	}
}

func TestTwoPollsCloseAConnectionOfProtocol3(t *testing.T) {
	f := newFixture(t, quick)
	q := f.poll("EIO=3")
	c := (<-f.sessions).c
	first := make(chan string)
	go func() {
		_, body := f.do(q)
		first <- body
	}()
	eventually.True(t, c.pollWaiting)
	f.expect(400, "", q)
	if got := <-first; got != "1:1" {
		t.Errorf("the first poll got %q", got)
	}
	f.expect(400, "", q)
}

// D13: nobody can send what inflates.
func TestDeflateIsOffUnlessAskedFor(t *testing.T) {
	f := newFixture(t, Options{})
	offer := http.Header{"Sec-Websocket-Extensions": {"permessage-deflate; client_max_window_bits"}}
	c, res, err := websocket.Dial(t.Context(), f.url+"?EIO=4&transport=websocket", offer)
	if err != nil {
		t.Fatal(err)
	}
	client := &ws{t, c}
	defer client.Close()
	if got := res.Header.Get("Sec-Websocket-Extensions"); got != "" {
		t.Errorf("the server agreed to %q", got)
	}
	compressed := websocket.AppendClientFrame(nil, websocket.OpText, []byte("4\x00"))
	compressed[0] |= 0x40 // RSV1, as RFC 7692 marks compressed messages
	if _, err := client.Write(compressed); err != nil {
		t.Fatal(err)
	}
	if e := client.expectClose(); e == nil || e.Code != websocket.StatusProtocolError {
		t.Errorf("a compressed message was answered with %v", e)
	}
}
