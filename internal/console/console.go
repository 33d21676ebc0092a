// Package console is what a person sees who opens the server's address: what
// is running, where to go, and a small page to try it with. It also serves the
// official client bundle.
package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
)

//go:embed static
var static embed.FS

//go:embed vendored/socket.io.js vendored/socket.io.min.js vendored/LICENSE
var vendored embed.FS

// policy lets the page use its own files and connect to its own server.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Register adds the page and the client bundle to a mux. socketPath is where
// the Socket.IO endpoint is, with a trailing slash.
func Register(mux *http.ServeMux, socketPath string) error {
	files := map[string]string{
		"GET /{$}":                               "static/index.html",
		"GET /console.css":                       "static/console.css",
		"GET /console.js":                        "static/console.js",
		"GET /favicon.svg":                       "static/favicon.svg",
		"GET " + socketPath + "socket.io.js":     "vendored/socket.io.js",
		"GET " + socketPath + "socket.io.min.js": "vendored/socket.io.min.js",
		"GET " + socketPath + "LICENSE":          "vendored/LICENSE",
	}
	for pattern, name := range files {
		h, err := serve(name)
		if err != nil {
			return err
		}
		mux.Handle(pattern, h)
	}
	return nil
}

// serve returns a handler for one embedded file.
func serve(name string) (http.Handler, error) {
	var files fs.FS = static
	if path.Dir(name) == "vendored" {
		files = vendored
	}
	body, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	contentType := contentTypes[path.Ext(name)]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("ETag", tag)
		h.Set("Cache-Control", "no-cache") // ask, and be told that it is the same
		h.Set("X-Content-Type-Options", "nosniff")
		if contentType == contentTypes[".html"] {
			h.Set("Content-Security-Policy", policy)
			h.Set("Referrer-Policy", "no-referrer")
		}
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Write(body)
	}), nil
}

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	"":      "text/plain; charset=utf-8",
}
