package app

import (
	"testing"

	"github.com/roomcast/roomcast/asyncapi"
	"github.com/roomcast/roomcast/asyncapi/asyncapitest"
)

// Every example in the documents of the dialects is one of its message.
func TestDialectDocuments(t *testing.T) {
	for file := range asyncapi.Dialects() {
		contract := asyncapitest.Contract(t, file)
		for _, m := range asyncapitest.Document(t, file).Messages() {
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
