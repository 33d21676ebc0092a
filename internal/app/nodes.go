package app

import (
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
	"github.com/roomcast/roomcast/internal/workflow/sandbox"
)

// nodeOptions are what the types of workflow nodes need of the configuration.
func (a *App) nodeOptions(w config.Workflow) nodes.Options {
	return nodes.Options{
		AllowPrivate: w.HTTP.AllowPrivate, MaxHTTPBody: int64(w.HTTP.MaxBody), MaxHTTPTimeout: w.HTTP.MaxTimeout,
		Data: dataSources{a.data}, Assistant: completions{a.models},
		JavaScript: sandbox.Options{
			MaxTime: w.JavaScript.MaxTime, MaxMemory: int64(w.JavaScript.MaxMemory), Parallel: w.JavaScript.Parallel,
		},
	}
}
