//go:build !temporal

package app

import (
	"errors"

	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

func (a *App) openTemporal(nodes.Types, string) (clusterEngine, error) {
	return nil, errors.New("workflow.engine: this build has no engine for Temporal: take a release, build with `make release`, or set it to embedded")
}
