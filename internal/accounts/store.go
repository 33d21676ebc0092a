package accounts

import (
	"context"
	"errors"
	"time"
)

// The errors of a [Store].
var (
	ErrNotFound = errors.New("no such account")
	ErrTaken    = errors.New("the checksum is that of another account")
	ErrFull     = errors.New("there are too many accounts")
	// ErrLost is for whose turn is over.
	ErrLost = errors.New("the turn is over")
)

// A Store keeps accounts and what was said.
type Store interface {
	// CreateAccount fails with ErrTaken if the tenant has an account with that
	// Lookup, and with ErrFull if it has as many as there may be.
	CreateAccount(ctx context.Context, a Account, most int) error
	AccountByLookup(ctx context.Context, tenant, lookup string) (Account, error)
	Account(ctx context.Context, id string) (Account, error)
	// SetToken replaces the token of an account by its hash.
	SetToken(ctx context.Context, id, hash string) error
	// DropToken ends a token; ErrNotFound if another, or none, is good.
	DropToken(ctx context.Context, id, hash string) error
	TurnStore
}

// A TurnStore keeps whose turn it is to decide, so that instances do not decide
// at the same time as the same account.
type TurnStore interface {
	// TakeTurn gives holder, an instance, the turn of an account for a while,
	// unless another that is there has it.
	TakeTurn(ctx context.Context, account, holder string, ttl time.Duration) (bool, error)
	// Exchanges returns the last ones of an account, oldest first.
	Exchanges(ctx context.Context, account string, last int) ([]Exchange, error)
	// EndTurn gives the turn back. If there was an exchange it is stored, of the
	// older ones so many are kept that there are keep, and its tokens count as
	// those of its tenant's conversations; ErrLost if holder's turn is over.
	EndTurn(ctx context.Context, account, holder string, x *Exchange, keep int) error
}

// An Exchange is a message and what was decided.
type Exchange struct {
	Message, Answer string
	At              time.Time
	// Prompt and Completion are the tokens that it took; they are not kept with
	// it.
	Prompt, Completion int
}
