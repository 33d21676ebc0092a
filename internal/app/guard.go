package app

import (
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/roomcast/roomcast/events"
)

// guard decides which pages may use the server, and under which names it
// answers. A page is known by its Origin, which only browsers send; without
// one there is no page to be careful about.
type guard struct {
	origins []string
	names   []string
	dev     bool
	log     *slog.Logger
}

func (a *App) guard() guard {
	s := a.opts.Config.Server
	return guard{origins: s.AllowedOrigins, names: s.AllowedHosts, dev: a.opts.Dev, log: a.log}
}

// origin reports whether a page may connect: the server's own, those on the
// list, and in development those of this machine. A page without a real
// origin, such as a file, sends "null" and must be on the list like others.
func (g guard) origin(origin string, r *http.Request) bool {
	if slices.Contains(g.origins, "*") || slices.Contains(g.origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	return strings.EqualFold(u.Host, r.Host) || g.dev && loopback(u.Hostname())
}

// host reports whether the server answers to a name. A page elsewhere can make
// its own name mean this machine's address, but it cannot choose another name
// for the Host header.
func (g guard) host(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if slices.ContainsFunc(g.names, func(allowed string) bool { return strings.EqualFold(allowed, name) || strings.EqualFold(allowed, host) }) {
		return true
	}
	if g.dev {
		return loopback(strings.Trim(name, "[]"))
	}
	return len(g.names) == 0
}

func loopback(name string) bool {
	if strings.EqualFold(name, "localhost") || strings.HasSuffix(strings.ToLower(name), ".localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

// hosts refuses requests to names that the server does not answer to.
func (g guard) hosts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.host(r.Host) {
			g.refuse(w, r, events.Errorf(events.CodeHost, "this server does not answer to %q: add it to server.allowedHosts", r.Host))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// cors lets pages that may connect also use the REST API.
func (g guard) cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin == "" {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Add("Vary", "Origin")
		if !g.origin(origin, r) {
			g.refuse(w, r, foreignPage(origin))
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
		if r.Method != http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}

func foreignPage(origin string) *events.Error {
	return events.Errorf(events.CodeOrigin, "pages of %q may not use this server: add it to server.allowedOrigins", origin)
}

// socketOrigin is origin for the transport, which says no by itself.
func (g guard) socketOrigin(origin string, r *http.Request) bool {
	ok := g.origin(origin, r)
	if !ok {
		g.note(r, foreignPage(origin))
	}
	return ok
}

// note logs a refusal.
func (g guard) note(r *http.Request, e *events.Error) {
	g.log.Info("request refused", "method", r.Method, "path", r.URL.Path, "address", remoteIP(r), "code", e.Code, "reason", e.Message)
}

func (g guard) refuse(w http.ResponseWriter, r *http.Request, e *events.Error) {
	g.note(r, e)
	refuse(w, e)
}

func refuse(w http.ResponseWriter, e *events.Error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	json.NewEncoder(w).Encode(map[string]any{"error": e})
}
