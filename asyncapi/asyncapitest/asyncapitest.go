// Package asyncapitest reads the bundled documents for tests.
package asyncapitest

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/asyncapi"
)

var documents sync.Map // by their files: each is parsed and compiled once

// Document returns the document of a dialect, by its file.
func Document(t testing.TB, file string) *asyncapi.Document {
	t.Helper()
	if doc, ok := documents.Load(file); ok {
		return doc.(*asyncapi.Document)
	}
	doc, err := asyncapi.Parse(asyncapi.Dialects()[file])
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	kept, _ := documents.LoadOrStore(file, doc)
	return kept.(*asyncapi.Document)
}

// Contract returns what holds messages against the document of a dialect.
func Contract(t testing.TB, file string) *asyncapi.Contract {
	t.Helper()
	contract, err := asyncapi.NewContract(Document(t, file), asyncapi.Enforce, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return contract
}
