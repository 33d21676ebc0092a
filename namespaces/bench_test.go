package namespaces

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"testing"

	"github.com/roomcast/roomcast/asyncapi"
)

// An echo as load generators send it: 200 bytes, there and back.
type echo struct {
	ID     string   `json:"id"`
	Seq    int64    `json:"seq"`
	Text   string   `json:"text"`
	Tags   []string `json:"tags"`
	Urgent bool     `json:"urgent"`
	Note   string   `json:"note,omitempty"`
}

const echoMessage = `{"id":"7c9e6679-7425-40de-944b-e07fc1f90ae7","seq":123456,` +
	`"text":"The quick brown fox jumps over the lazy dog, twice, and then once more.","tags":["alpha","beta"],"urgent":false}`

const echoDocument = `
channels:
  /:
    publish:
      message:
        oneOf:
          - name: echo
            payload: &echo
              type: object
              additionalProperties: false
              required: [id, seq, text]
              properties: &fields
                id: {type: string, format: uuid}
                seq: {type: integer, minimum: 0}
                text: {type: string, maxLength: 1000}
                tags: {type: array, items: {type: string}, maxItems: 10}
                urgent: {type: boolean}
                note: {type: string}
            x-ack:
              args:
                type: array
                items:
                  - oneOf:
                      - type: object
                        additionalProperties: false
                        required: [ok, id, seq, text]
                        properties: {<<: *fields, ok: {const: true}}
                      - type: object
                        additionalProperties: false
                        required: [ok, error]
                        properties: {ok: {const: false}, error: {type: object}}
`

func BenchmarkDispatch(b *testing.B) {
	document, err := asyncapi.Parse([]byte(echoDocument))
	if err != nil {
		b.Fatal(err)
	}
	ns := Namespace{Name: "/", Routes: []Route{
		Handle("echo", func(_ context.Context, _ Session, in echo) (echo, error) { return in, nil }),
	}}
	for _, mode := range []asyncapi.Mode{asyncapi.Off, asyncapi.Enforce} {
		logger := slog.New(slog.NewTextHandler(io.Discard, nil))
		contract, err := asyncapi.NewContract(document, mode, logger)
		if err != nil {
			b.Fatal(err)
		}
		r := NewRouter(ns, RouterOptions{Contract: contract, Logger: logger})
		args, want := []json.RawMessage{json.RawMessage(echoMessage)}, `{"ok":true,`+echoMessage[1:]
		b.Run("contract="+string(mode), func(b *testing.B) {
			b.ReportAllocs()
			ctx, s := b.Context(), &recorder{}
			for b.Loop() {
				if reply := r.Dispatch(ctx, s, "echo", args, true); string(reply) != want {
					b.Fatalf("%s", reply)
				}
			}
		})
	}
}
