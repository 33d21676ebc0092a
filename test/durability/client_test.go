package durability

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// A client is a back end: it asks any of the instances again until it is
// answered.
type client struct {
	urls  []string
	token string
	http  *http.Client
}

func newClient(urls []string, token string) *client {
	return &client{urls: urls, token: token, http: &http.Client{
		Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}}
}

// call asks until there is an answer that is one: the server may be dead, or
// not have the time. key is the Idempotency-Key.
func (c *client) call(ctx context.Context, method, path, key string, body, into any) (status int, err error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	for {
		status, answer, err := c.once(ctx, method, path, key, raw)
		if err == nil && final(status, answer) {
			if into != nil && status < 300 {
				err = json.Unmarshal(answer, into)
			}
			if status >= 300 {
				err = refusal(answer)
			}
			return status, err
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%s %s: no answer in time, the last was %d %s %w", method, path, status, answer, err)
		case <-time.After(time.Duration(5+rand.IntN(20)) * time.Millisecond):
		}
	}
}

// final reports whether an answer will not be another in a moment. A conflict
// will, unless the run is over.
func final(status int, answer []byte) bool {
	if status == http.StatusConflict {
		return bytes.Contains(answer, []byte("takes no input"))
	}
	return status < 500 && status != http.StatusTooManyRequests
}

// refusal is an answer that says no.
type refusal []byte

func (r refusal) Error() string { return string(r) }

func (c *client) once(ctx context.Context, method, path, key string, body []byte) (int, []byte, error) {
	url := c.urls[rand.IntN(len(c.urls))] + "/api/v1/tenants/default/workflows" + path
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// create stores a workflow and returns its id.
func (c *client) create(ctx context.Context, k kind) (string, error) {
	var w struct{ ID, WorkflowID string }
	if _, err := c.call(ctx, http.MethodPost, "", uuid.NewString(), k.definition(), &w); err != nil {
		return "", fmt.Errorf("workflow %s: %w", k.name, err)
	}
	return w.ID + w.WorkflowID, nil
}

// instance is a run as the API tells of it.
type instance struct {
	Status, Error string
	ContextData   json.RawMessage
	Logs          []entry
}

// entry is one of its log.
type entry struct {
	Seq       uint64
	Type      string
	NodeID    string
	Iteration string
	Data      struct {
		RequestID, Status string
		Output            json.RawMessage
		Child             *struct{ RunID string }
	}
	At time.Time
}

// visible reports whether clients see an entry.
func (e entry) visible() bool {
	switch e.Type {
	case "NODE_COMPLETED", "NODE_FAILED", "RUN_ENDED":
		return true
	}
	return e.Type == "NODE_SUSPENDED" && e.Data.RequestID != ""
}

// ends reports whether an entry is how a node ended.
func (e entry) ends() bool { return e.Type == "NODE_COMPLETED" || e.Type == "NODE_FAILED" }

func (c *client) read(ctx context.Context, runID string) (in instance, err error) {
	_, err = c.call(ctx, http.MethodGet, "/instances/"+runID, "", nil, &in)
	return in, err
}
