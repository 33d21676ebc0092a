package app_test

import (
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/servertest"
)

// What is wrong with a secret is not taken for the secret when it is logged.
func TestWarningsAreReadable(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.WebSocket.Action.APIKey = "API_KEY1234" }})
	if log := s.Log.String(); !strings.Contains(log, `setting=websocket.action.apiKey why="has only 11 characters: make one`) || strings.Contains(log, "API_KEY1234") {
		t.Error(log)
	}
}
