package config

import (
	"strings"
	"testing"
	"time"
)

func TestMeet(t *testing.T) {
	c, err := Load(Source{File: write(t, "websocket: {meet: {capacity: 3, anonymous: acme, turn: {urls: ['turn:h:1'], secretFile: "+write(t, "here\n")+", ttl: 5m}}}")})
	if err != nil {
		t.Fatal(err)
	}
	m := c.WebSocket.Meet
	if m.Capacity != 3 || m.Anonymous != "acme" || m.Turn.Secret != "here" || m.Turn.TTL != 5*time.Minute || len(c.Check()) > 0 {
		t.Errorf("%+v %v", m, c.Check())
	}
	for file, want := range map[string]string{
		"capacity: 0":                  "websocket.meet.capacity: 0 is not from 1",
		"capacity: 1001":               "websocket.meet.capacity",
		"turn: {urls: ['turn:h:1']}":   "websocket.meet.turn.secret: is missing",
		"turn: {urls: ['http://h:1']}": "websocket.meet.turn.urls",
		"turn: {ttl: 0s}":              "websocket.meet.turn.ttl",
		"turn: {urls: [], ttl: 1ms}":   "websocket.meet.turn.ttl",
		"turn: {secret: a, ttl: -1s}":  "websocket.meet.turn.ttl",
	} {
		c, err := Load(Source{File: write(t, "websocket: {meet: {"+file+"}}")})
		if err != nil {
			t.Fatal(err)
		}
		if problems := strings.Join(c.Check(), "\n"); !strings.Contains(problems, want) {
			t.Errorf("%s: %s", file, problems)
		}
	}
	if _, err := Load(Source{File: write(t, "websocket: {meet: {turn: {secret: a, secretFile: b}}}")}); err == nil || !strings.Contains(err.Error(), "websocket.meet.turn.secret and secretFile are both set") {
		t.Error(err)
	}
}
