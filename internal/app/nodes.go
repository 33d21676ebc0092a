package app

import (
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/datasource"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
	"github.com/roomcast/roomcast/internal/workflow/sandbox"
)

// nodeTypes are what the nodes of workflows can do by a configuration.
func nodeTypes(w config.Workflow, data *datasource.Sources, ai nodes.Assistant) nodes.Types {
	return nodes.All(nodes.Options{
		AllowPrivate: w.HTTP.AllowPrivate, MaxHTTPBody: int64(w.HTTP.MaxBody), MaxHTTPTimeout: w.HTTP.MaxTimeout,
		Data: dataSources{data}, Assistant: ai,
		JavaScript: sandbox.Options{
			MaxTime: w.JavaScript.MaxTime, MaxMemory: int64(w.JavaScript.MaxMemory), Parallel: w.JavaScript.Parallel,
		},
	})
}
