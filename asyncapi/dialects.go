package asyncapi

import (
	"embed"
)

//go:embed ws-*.yaml
var dialects embed.FS

// Dialects returns the documents of the protocols over plain WebSocket, by file
// name.
func Dialects() map[string][]byte {
	all := make(map[string][]byte)
	files, _ := dialects.ReadDir(".")
	for _, f := range files {
		all[f.Name()], _ = dialects.ReadFile(f.Name())
	}
	return all
}
