package rest

import (
	"encoding/json"
	"fmt"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/publish"
)

const publishPattern = "POST /api/v1/tenants/{tenant}/publish"

// publish takes a message, or a batch of them. A message that fails alone is an
// error of the request; those of a batch have results.
func (a *API) publish(r *request) (any, error) {
	if err := a.opts.Publish.May(r.id, r.tenant()); err != nil { // before anything large is read
		return nil, err
	}
	r.max = a.opts.MaxPublish
	var body struct {
		publish.Envelope
		Messages *[]publish.Envelope `json:"messages"`
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	batch := []publish.Envelope{body.Envelope}
	if body.Messages != nil {
		if alone, _ := json.Marshal(body.Envelope); string(alone) != emptyEnvelope {
			return nil, events.FieldErrorf("messages", "comes beside a message: send either")
		}
		batch = *body.Messages
	}
	if err := keyed(batch, r.Header.Get(keyHeader), body.Messages != nil); err != nil {
		return nil, err
	}
	results, err := a.opts.Publish.Publish(r.Context(), r.id, r.tenant(), batch)
	if err != nil {
		return nil, err
	}
	replayed := len(results) > 0
	for _, result := range results {
		replayed = replayed && result.Replayed
	}
	if replayed {
		r.w.Header().Set(replayHeader, "true")
	}
	if body.Messages != nil {
		return map[string]any{"results": results}, nil
	}
	if e := results[0].Error; e != nil {
		return nil, e
	}
	return results[0], nil
}

// emptyEnvelope is an envelope that says nothing.
var emptyEnvelope = func() string {
	b, _ := json.Marshal(publish.Envelope{})
	return string(b)
}()

// keyed gives messages without an id one that follows from the key of their
// request.
func keyed(batch []publish.Envelope, key string, several bool) error {
	if key == "" {
		return nil
	}
	if !once.Valid(key) || several && len(key) > 120 {
		return events.FieldErrorf(keyHeader, "is not 1 to 120 printable characters")
	}
	for i := range batch {
		switch {
		case batch[i].ID != "":
		case several:
			batch[i].ID = fmt.Sprintf("%s/%d", key, i)
		default:
			batch[i].ID = key
		}
	}
	return nil
}
