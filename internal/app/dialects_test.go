package app

import (
	"log/slog"
	"testing"

	"github.com/roomcast/roomcast/asyncapi"
)

// Every example in the documents of the dialects is one of its message.
func TestDialectDocuments(t *testing.T) {
	for file, text := range asyncapi.Dialects() {
		doc, err := asyncapi.Parse(text)
		if err != nil {
			t.Fatal(file, err)
		}
		contract, err := asyncapi.NewContract(doc, asyncapi.Enforce, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(file, err)
		}
		for _, m := range doc.Messages() {
			check := contract.Outbound
			if m.Inbound {
				check = contract.Inbound
			}
			if len(m.Examples) == 0 {
				t.Errorf("%s: %s has no example", file, m.Name)
			}
			for _, e := range m.Examples {
				if err := check(m.Namespace, m.Name, e); err != nil {
					t.Errorf("%s: %s: %s: %v", file, m.Name, e, err)
				}
			}
		}
	}
}
