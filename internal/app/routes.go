package app

import (
	"net/http"
	"time"

	"github.com/roomcast/roomcast/asyncapi"
	"github.com/roomcast/roomcast/internal/console"
	"github.com/roomcast/roomcast/internal/rest"
)

// routes are everything that the server answers over HTTP.
func (a *App) routes() (http.Handler, error) {
	mux := http.NewServeMux()
	path := a.opts.Config.Socket.Path
	mux.Handle(path, a.socket)
	if a.websocket != nil {
		for _, path := range []string{"/ws", "/ws/", "/api/ws", "/api/ws/"} {
			mux.Handle(path, a.websocket)
		}
	}
	if err := console.Register(mux, path); err != nil {
		return nil, err
	}
	if err := a.serveContract(mux); err != nil {
		return nil, err
	}
	guard := a.guard()
	a.rest = rest.New(rest.Options{
		Authenticate: a.auth.Authenticate, Workflows: a.workflows, External: a.external, Chat: a.chat, Listeners: a.listeners, Widgets: a.db.Widgets(),
		Keys: a.keys, Revocations: a.revocations,
		Logger: a.log, MaxBody: int64(a.opts.Config.Server.MaxBody),
		Publish: a.publish, MaxPublish: int64(a.opts.Config.Publish.MaxBody), Once: a.once, Timeout: a.opts.Config.Socket.HandlerTimeout,
		Turn: turn(a.opts.Config.WebSocket.Meet.Turn),
	})
	for _, path := range []string{"/api/v1/", rest.DocumentedTurnPath} {
		mux.Handle(path, guard.cors(a.rest))
	}
	mux.Handle("GET /metrics", a.metrics())
	mux.HandleFunc("GET /health/live", a.live)
	mux.HandleFunc("GET /health/ready", a.readiness)
	mux.HandleFunc("GET /health", a.live)
	return newProxies(a.opts.Config.Server.TrustedProxies).handler(guard.hosts(mux)), nil
}

func (a *App) serveContract(mux *http.ServeMux) error {
	doc, err := asyncapi.SocketEvents()
	if err != nil {
		return err
	}
	asJSON, err := doc.JSON()
	if err != nil {
		return err
	}
	file := func(contentType string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Access-Control-Allow-Origin", "*") // tools read it from anywhere
			w.Write(body)
		}
	}
	const contentType = "application/yaml; charset=utf-8"
	yaml := file(contentType, asyncapi.SocketEventsYAML())
	mux.Handle("GET /asyncapi.yaml", yaml)
	mux.Handle("GET /asyncapi/socket-events.yaml", yaml)
	mux.Handle("GET /asyncapi.json", file("application/json", asJSON))
	for name, source := range asyncapi.Dialects() {
		mux.Handle("GET /asyncapi/"+name, file(contentType, source))
	}
	return nil
}

// requestTime bounds how long a client may take to send a request, and to read
// the answer. Polls, which wait, set their own.
const requestTime = 30 * time.Second

// deadlines bounds every request: a client that sends or reads nothing would
// hold it for ever.
func deadlines(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		rc.SetWriteDeadline(time.Time{}) // of the request before, on the same connection
		if r.Body != nil && r.Body != http.NoBody {
			rc.SetReadDeadline(time.Now().Add(requestTime))
		}
		next.ServeHTTP(deadlineWriter{w, rc}, r)
	})
}

// deadlineWriter starts the clock when there is something to read.
type deadlineWriter struct {
	http.ResponseWriter
	rc *http.ResponseController
}

func (w deadlineWriter) WriteHeader(status int) {
	w.rc.SetWriteDeadline(time.Now().Add(requestTime))
	w.ResponseWriter.WriteHeader(status)
}

func (w deadlineWriter) Write(b []byte) (int, error) {
	w.rc.SetWriteDeadline(time.Now().Add(requestTime))
	return w.ResponseWriter.Write(b)
}

func (w deadlineWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
