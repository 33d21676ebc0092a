package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/roomcast/roomcast/internal/link"
)

// PublishOptions say how a publication reaches the server: as an event of a
// client, or, with URLs, by HTTP.
type PublishOptions struct {
	Event string // bench:publish
	// Payload is the event's payload, or the body of the request; {payload} in
	// it stands for the publication.
	Payload string
	// URLs take a POST. When one fails the next is tried, with the same
	// Idempotency-Key.
	URLs []string
	Key  string // the API key
}

func (o PublishOptions) withDefaults() PublishOptions {
	o.Event = orDefault(o.Event, "bench:publish")
	o.Payload = orDefault(o.Payload, `{"room":"bench-jitter","count":1,"event":"bench:event","payload":{payload}}`)
	return o
}

// body puts publication n into its place.
func (o PublishOptions) body(n int) (json.RawMessage, error) {
	publication, err := json.Marshal(payload{n, time.Now().UnixNano(), fill})
	if err != nil {
		return nil, err
	}
	body := json.RawMessage(bytes.ReplaceAll([]byte(o.Payload), []byte("{payload}"), publication))
	if !json.Valid(body) {
		return nil, fmt.Errorf("the payload to publish is not JSON: %.200s", body)
	}
	return body, nil
}

// A jitterPublisher returns from publish when the server has taken it.
type jitterPublisher struct {
	publish func(ctx context.Context, n int) error
	close   func()
	took    []time.Duration
}

func newJitterPublisher(ctx context.Context, o JitterOptions) (*jitterPublisher, error) {
	p := &jitterPublisher{close: func() {}}
	send, err := p.sender(ctx, o)
	if err != nil {
		return nil, err
	}
	p.publish = func(ctx context.Context, n int) error {
		body, err := o.Publish.body(n)
		if err != nil {
			return err
		}
		begun := time.Now()
		err = send(ctx, n, body)
		p.took = append(p.took, time.Since(begun))
		return err
	}
	return p, nil
}

// sender returns what sends a body and waits until the server has taken it.
func (p *jitterPublisher) sender(ctx context.Context, o JitterOptions) (func(context.Context, int, json.RawMessage) error, error) {
	if len(o.Publish.URLs) > 0 {
		h := &httpPublisher{o: o.Publish, run: rand.Text(), client: &http.Client{Timeout: link.DialTimeout}}
		p.close = h.client.CloseIdleConnections
		return h.publish, nil
	}
	c, err := connect(ctx, Target{URL: o.URLs[0], Token: o.Token})
	if err != nil {
		return nil, err
	}
	p.close = c.close
	return func(_ context.Context, _ int, body json.RawMessage) error {
		c.ws.SetDeadline(time.Now().Add(patience))
		return c.call(o.Publish.Event, body)
	}, nil
}

// httpPublisher publishes as a back end does.
type httpPublisher struct {
	o      PublishOptions
	run    string
	client *http.Client
	url    int // the one that worked last
}

// publish tries one instance after the other until one has taken it.
func (h *httpPublisher) publish(ctx context.Context, n int, body json.RawMessage) error {
	limit := time.Now().Add(patience)
	for {
		again, err := h.post(ctx, n, body)
		if err == nil || !again || time.Now().After(limit) {
			return err
		}
		h.url++
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// post reports whether a failure is worth another try.
func (h *httpPublisher) post(ctx context.Context, n int, body json.RawMessage) (again bool, err error) {
	url := h.o.URLs[h.url%len(h.o.URLs)]
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprintf("%s-%d", h.run, n))
	if h.o.Key != "" {
		req.Header.Set("Authorization", "api_key "+h.o.Key)
	}
	res, err := h.client.Do(req)
	if err != nil {
		return true, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		return true, err
	}
	if res.StatusCode/100 == 2 {
		return false, nil
	}
	return retryable(res.StatusCode), fmt.Errorf("%s: %s: %.300s", url, res.Status, answer)
}

// retryable reports whether a status may be another one the next time: the
// server fails or is busy, or an earlier attempt is still under way.
func retryable(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusConflict
}
