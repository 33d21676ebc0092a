// Package remote is a server as a program on another machine sees it: its HTTP
// API, and the rooms of runs over Socket.IO. Its errors are for people and say
// what to do.
package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// Options say which server, and who asks.
type Options struct {
	URL           string // http:// or https://, with a path if it is behind one
	Token, APIKey string // one of them
	// Tenant is whose runs are asked for; "" looks in all that the caller is a
	// member of.
	Tenant string
}

// A Server answers one caller. Its methods may be called concurrently.
type Server struct {
	opts Options
	http *http.Client
}

// timeout bounds a request.
const timeout = 30 * time.Second

// New returns a Server, which has not been asked anything yet.
func New(o Options) (*Server, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("--server: %q is not an address such as http://127.0.0.1:3000", o.URL)
	case o.Token != "" && o.APIKey != "":
		return nil, errors.New("--token and --api-key: one is enough")
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	return &Server{opts: o, http: &http.Client{Timeout: timeout}}, nil
}

// A Run is one that the server has.
type Run struct {
	ID, Title, Tenant string
	Plan              *graph.Plan // that it began with
}

// Execute runs a workflow and returns the id of the run.
func (s *Server) Execute(ctx context.Context, workflowID string, input map[string]any) (Run, error) {
	key := uuid.NewString()
	var made struct {
		InstanceID string `json:"instanceID"`
	}
	return s.inTenant(ctx, "workflow", workflowID, func(tenant string) (Run, error) {
		path := workflows(tenant) + "/" + url.PathEscape(workflowID) + "/execute"
		if err := s.do(ctx, http.MethodPost, path, key, map[string]any{"inputValues": input}, &made); err != nil {
			return Run{}, err
		}
		return s.run(ctx, tenant, made.InstanceID)
	})
}

// Run returns a run.
func (s *Server) Run(ctx context.Context, id string) (Run, error) {
	return s.inTenant(ctx, "run", id, func(tenant string) (Run, error) { return s.run(ctx, tenant, id) })
}

func (s *Server) run(ctx context.Context, tenant, id string) (Run, error) {
	var body struct {
		Title      string      `json:"title"`
		Definition *graph.Plan `json:"definition"`
	}
	err := s.do(ctx, http.MethodGet, instance(tenant, id)+"/definition", "", nil, &body)
	if body.Definition == nil {
		body.Definition = graph.NewPlan(graph.Definition{})
	}
	return Run{ID: id, Title: body.Title, Tenant: tenant, Plan: body.Definition}, err
}

// Log returns what has happened in a run after an entry.
func (s *Server) Log(ctx context.Context, r Run, after uint64) ([]interpreter.Entry, error) {
	var body struct {
		Logs []interpreter.Entry `json:"logs"`
	}
	err := s.do(ctx, http.MethodGet, fmt.Sprintf("%s/logs?after=%d", instance(r.Tenant, r.ID), after), "", nil, &body)
	return body.Logs, err
}

// Submit answers a request for input.
func (s *Server) Submit(ctx context.Context, r Run, requestID string, data any) error {
	return s.do(ctx, http.MethodPost, workflows(r.Tenant)+"/data-collection", uuid.NewString(), map[string]any{
		"collectionRequestID": requestID, "submittedData": data,
	}, nil)
}

func workflows(tenant string) string {
	return "/api/v1/tenants/" + url.PathEscape(tenant) + "/workflows"
}

func instance(tenant, id string) string {
	return workflows(tenant) + "/instances/" + url.PathEscape(id)
}

// inTenant does something in the tenant of the options, or in the first of the
// caller's in which there is what is looked for.
func (s *Server) inTenant(ctx context.Context, what, id string, fn func(tenant string) (Run, error)) (Run, error) {
	tenants := []string{s.opts.Tenant}
	if s.opts.Tenant == "" {
		var me struct {
			Tenants []struct{ ID string }
		}
		if err := s.do(ctx, http.MethodGet, "/api/v1/me", "", nil, &me); err != nil {
			return Run{}, err
		}
		tenants = nil
		for _, t := range me.Tenants {
			tenants = append(tenants, t.ID)
		}
	}
	for _, t := range tenants {
		r, err := fn(t)
		if !notFound(err) {
			return r, err
		}
	}
	return Run{}, fmt.Errorf("there is no %s %s in %s: look at its id, and whether --tenant and the credential are those of its tenant", what, id, strings.Join(tenants, ", "))
}

func notFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound && e.Code == events.CodeNotFound
}

// An Error is what a server answered.
type Error struct {
	Status int
	Code   events.Code
	Text   string
}

func (e *Error) Error() string { return e.Text }

// Refusal returns what a server answered, false if it did not.
func Refusal(err error) (*Error, bool) {
	var e *Error
	found := errors.As(err, &e)
	return e, found
}

// Final reports whether to ask again is of no use.
func Final(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status < http.StatusInternalServerError && e.Status != http.StatusTooManyRequests
}

// do sends a request and decodes its answer. key makes it safe to be sent
// again.
func (s *Server) do(ctx context.Context, method, path, key string, body, out any) error {
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.opts.URL+path, content)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	switch {
	case s.opts.Token != "":
		req.Header.Set("Authorization", "Bearer "+s.opts.Token)
	case s.opts.APIKey != "":
		req.Header.Set("Authorization", "api_key "+s.opts.APIKey)
	}
	res, err := s.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return fmt.Errorf("%s cannot be reached: %w: look whether the server runs, and at --server", s.opts.URL, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("%s broke off its answer: %w", s.opts.URL, err)
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return s.refusal(res, raw)
	}
	if out != nil && json.Unmarshal(raw, out) != nil {
		return s.stranger(res.StatusCode)
	}
	return nil
}

// refusal says what to do about an answer that is an error.
func (s *Server) refusal(res *http.Response, raw []byte) error {
	var body struct {
		Error struct {
			Code    events.Code
			Message string
		}
	}
	if json.Unmarshal(raw, &body) != nil || body.Error.Code == "" {
		return s.stranger(res.StatusCode)
	}
	e := &Error{Status: res.StatusCode, Code: body.Error.Code, Text: fmt.Sprintf("%s (%s)", body.Error.Message, body.Error.Code)}
	switch {
	case e.Status == http.StatusUnauthorized && s.opts.Token == "" && s.opts.APIKey == "":
		e.Text = "the server asks who you are: give --token or --api-key (`roomcast token new` makes tokens)"
	case e.Status == http.StatusUnauthorized:
		e.Text = "the server does not accept the credential: " + e.Text + ": `roomcast token inspect` says what is in a token"
	}
	return e
}

// stranger is the error for answers that Roomcast does not give.
func (s *Server) stranger(status int) error {
	return &Error{Status: status, Text: fmt.Sprintf("%s answered %d, but not as Roomcast does: look at --server", s.opts.URL, status)}
}
