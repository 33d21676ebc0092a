package app

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/accounts"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/store/sqlite"
)

// A decision of the dialect action takes of the tokens of its tenant, and asks no
// model when there are none left.
func TestDecisionBeyondBudget(t *testing.T) {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "r.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Chats().AddUsage(t.Context(), "acme", time.Now(), chat.Usage{Prompt: 3, Completion: 2}); err != nil {
		t.Fatal(err)
	}
	p := personas{budget: chat.Budget{Store: db.Chats(), Tokens: 5}} // of no model
	_, err = p.Answer(t.Context(), accounts.Prompt{Tenant: "acme", Message: "x"})
	if e, meant := events.Public(err); !meant || e.Code != events.CodeRateLimited {
		t.Errorf("%v", err)
	}
}
