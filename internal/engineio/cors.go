package engineio

import "net/http"

// cors sets the CORS headers and answers preflight requests. It reports
// whether the request should go on.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	switch {
	case s.opts.Origin == nil:
		h.Set("Access-Control-Allow-Origin", "*")
	case s.opts.Origin(origin, r):
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	default:
		s.refuse(w, forbidden("origin "+origin+" is not allowed"))
		return false
	}
	if r.Method != http.MethodOptions {
		return true
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	w.WriteHeader(http.StatusNoContent)
	return false
}
