// Package providertest has what tests of providers and of those who use them
// need: an endpoint that speaks the protocol of OpenAI and does what it is told,
// and the contract that every provider keeps.
package providertest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxRecorded are requests that are remembered; beyond, the oldest is forgotten.
const maxRecorded = 10_000

// A Server is an endpoint that does what its rules say. Without a rule for a
// request it answers
//
//	"stream 500 4"   with 500 tokens, one every 4 milliseconds
//	anything else    with "You said: " and the last message of the user
//
// It serves any path that ends with /chat/completions, and under /control:
//
//	POST   /control/rules     a [Rule], or a list of them
//	GET    /control/requests  the requests so far
//	DELETE /control           forgets both
//
// Its methods may be called concurrently.
type Server struct {
	closed chan struct{}
	close  sync.Once

	mu       sync.Mutex
	rules    []*Rule
	requests []Request
	active   int
}

// A Rule says what is replied to requests whose last message contains a text.
type Rule struct {
	// Contains is the text; empty is any request.
	Contains string `json:"contains"`
	// Replies are used one after the other; the last stays. None is to forget
	// the rules for this text.
	Replies []Reply `json:"replies"`
}

// A Request is one that came.
type Request struct {
	Path   string          `json:"path"`
	Header http.Header     `json:"header"`
	Body   json.RawMessage `json:"body"`
	At     time.Time       `json:"at"`
}

// body is what the server looks at in a request.
type body struct {
	Model         string
	MaxTokens     int  `json:"max_tokens"`
	Stream        bool `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Messages []struct {
		Role    string
		Content string
	}
}

// New returns a server without rules.
func New() *Server { return &Server{closed: make(chan struct{})} }

// Close ends replies that stall.
func (s *Server) Close() { s.close.Do(func() { close(s.closed) }) }

// On adds a [Rule]. Later rules go before earlier ones.
func (s *Server) On(contains string, replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = slices.DeleteFunc(s.rules, func(r *Rule) bool { return r.Contains == contains })
	if len(replies) > 0 {
		s.rules = append(s.rules, &Rule{contains, slices.Clone(replies)})
	}
}

// Reset forgets rules and requests.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules, s.requests = nil, nil
}

// Requests are those that came, in order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Active is the number of requests that are being answered.
func (s *Server) Active() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/control"):
		s.control(w, r)
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/chat/completions"):
		s.complete(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	var in body
	if err != nil || json.Unmarshal(raw, &in) != nil || !in.Stream || len(in.Messages) == 0 {
		http.Error(w, `{"error": {"code": "invalid_request_error"}}`, http.StatusBadRequest)
		return
	}
	reply := s.arrive(Request{Path: r.URL.Path, Header: r.Header.Clone(), Body: raw, At: time.Now()}, in)
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.active--
	}()
	s.play(w, r, in, reply)
}

// arrive records a request and finds its reply.
func (s *Server) arrive(r Request, in body) Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active++
	if s.requests = append(s.requests, r); len(s.requests) > maxRecorded {
		s.requests = slices.Delete(s.requests, 0, 1)
	}
	last := in.Messages[len(in.Messages)-1].Content
	for _, rule := range slices.Backward(s.rules) {
		if strings.Contains(last, rule.Contains) {
			reply := rule.Replies[0]
			if len(rule.Replies) > 1 {
				rule.Replies = rule.Replies[1:]
			}
			return reply
		}
	}
	return standard(in)
}

func standard(in body) Reply {
	var said string
	for _, m := range in.Messages {
		if m.Role == "user" {
			said = m.Content
		}
	}
	var n, millis int
	if _, err := fmt.Sscanf(said, "stream %d %d", &n, &millis); err == nil {
		return Tokens(n, millis)
	}
	words := strings.SplitAfter("You said: "+said, " ")
	if in.MaxTokens > 0 && in.MaxTokens < len(words) {
		cut := Answer(strings.Join(words[:in.MaxTokens], ""))
		cut.Steps[len(cut.Steps)-3].Finish = "length"
		return cut
	}
	return Answer(strings.Join(words, ""))
}

func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "POST /control/rules":
		var list []Rule
		raw, err := io.ReadAll(r.Body)
		if err == nil && strings.HasPrefix(strings.TrimSpace(string(raw)), "[") {
			err = json.Unmarshal(raw, &list)
		} else if err == nil {
			list = make([]Rule, 1)
			err = json.Unmarshal(raw, &list[0])
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, rule := range list {
			s.On(rule.Contains, rule.Replies...)
		}
		w.WriteHeader(http.StatusNoContent)
	case "GET /control/requests":
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(append([]Request{}, s.Requests()...))
	case "DELETE /control":
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	default:
		http.NotFound(w, r)
	}
}
