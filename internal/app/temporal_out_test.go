//go:build !temporal

package app_test

import (
	"io"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/config"
)

func TestNoTemporalInThisBuild(t *testing.T) {
	c := config.Default()
	c.Server.Addr, c.Server.Data, c.Workflow.Engine = []string{"127.0.0.1:0"}, t.TempDir(), config.EngineTemporal
	_, err := app.New(t.Context(), app.Options{Config: c, Dev: true, Log: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "workflow.engine") || !strings.Contains(err.Error(), "make release") {
		t.Errorf("got %v, want what to do", err)
	}
}
