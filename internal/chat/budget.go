package chat

import (
	"context"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/events"
)

// A Budget is what each tenant may take of models on a day, which ends at
// midnight UTC, whatever asks them. It may be used concurrently.
type Budget struct {
	Store  Usages
	Tokens int // 0 is no bound
}

// Usages keep the tokens that tenants have used.
type Usages interface {
	// Used returns the tokens that a tenant has used on a day, and AddUsage adds
	// to them.
	Used(ctx context.Context, tenant string, day time.Time) (Usage, error)
	AddUsage(ctx context.Context, tenant string, day time.Time, u Usage) error
}

// Left refuses what would ask a model for a tenant that has used all its tokens
// of the day. What is under way when they run out goes on.
func (b Budget) Left(ctx context.Context, tenant string) error {
	if b.Tokens <= 0 {
		return nil
	}
	used, err := b.Store.Used(ctx, tenant, time.Now())
	if err != nil {
		return fmt.Errorf("reading what was used today: %w", err)
	}
	if used.Prompt+used.Completion < b.Tokens {
		return nil
	}
	return events.Errorf(events.CodeRateLimited, "the %d tokens that tenant %s has for a day are used up: the next day begins at midnight UTC", b.Tokens, tenant)
}

// Count adds what was taken outside of conversations, whose answers are counted
// as they are stored.
func (b Budget) Count(ctx context.Context, tenant string, u Usage) error {
	if err := b.Store.AddUsage(context.WithoutCancel(ctx), tenant, time.Now(), u); err != nil {
		return fmt.Errorf("counting tokens: %w", err)
	}
	return nil
}
