// Package accounts keeps the characters that clients of the dialect action
// register, and has a model decide as them.
//
// An account is found by its checksum, which is the only secret of its client:
// it is kept as a salted hash, and looked up by a keyed one. An account has one
// token at a time, of which the hash is kept, and no right but to decide.
package accounts

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/fair"
	"github.com/roomcast/roomcast/internal/waitgroup"
)

// Options configure a [Service].
type Options struct {
	Store Store
	Model Model
	// APIKey is what it takes to register.
	APIKey string
	// Secret has at least 32 bytes and is the same for all who share the store.
	// With another one accounts are not found and tokens are not good any more.
	Secret []byte
	// Owner is the instance that takes turns, "" if it must not at the moment.
	Owner func() string
	// Tenant is where all accounts are.
	Tenant string
	// Accounts bounds how many there are. Default 10,000.
	Accounts int
	// TokenLife is how long a token is good. Default 24 h.
	TokenLife time.Duration
	// Timeout bounds a decision, the time in line included. Default 30 s.
	Timeout time.Duration
	// Waiting is how many decisions of an account may wait for the one before.
	// Default 8.
	Waiting int
	// Decisions is how many are made at once. Default 64.
	Decisions int
	// History is how many exchanges of an account its model is told; 0 is none.
	History  int
	Failures auth.FailureOptions
	Logger   *slog.Logger
	// Told is told what an account is doing now: one of the statuses. It must not
	// block; nil is nobody.
	Told func(a Account, status string)
	// Now is the clock, for tests.
	Now func() time.Time
}

// An Account is a character.
type Account struct {
	ID, Tenant string
	// Lookup finds the account by its checksum, and Checksum is the hash that
	// shows whether it is the right one.
	Lookup, Checksum string
	Name, Prompt     string
	// Token is the hash of the token that is good, "" if none is.
	Token     string
	CreatedAt time.Time
}

// What accounts do, as others are told.
const (
	Connected    = "connected" // it has a new token, and waits for messages
	Deciding     = "deciding"
	Idle         = "idle" // it has decided
	Disconnected = "disconnected"
)

// A Service is the accounts of one tenant. Its methods may be called
// concurrently. Errors that are an [*events.Error] are for the client.
type Service struct {
	opts     Options
	key      [sha256.Size]byte // hash of the API key
	tokens   tokens
	sums     checksums
	failures *auth.Failures
	slots    *fair.Slots

	base    context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	lines map[string]int // decisions that are made and wait, by account
	all   int            // of all accounts
}

// New returns a Service.
func New(opts Options) *Service {
	set(&opts.Accounts, 10_000)
	set(&opts.TokenLife, 24*time.Hour)
	set(&opts.Timeout, 30*time.Second)
	set(&opts.Waiting, 8)
	set(&opts.Decisions, 64)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Told == nil {
		opts.Told = func(Account, string) {}
	}
	s := &Service{
		opts: opts, key: sha256.Sum256([]byte(opts.APIKey)),
		tokens:   tokens{key: derive(opts.Secret, "token"), now: opts.Now},
		sums:     newChecksums(derive(opts.Secret, "checksum")),
		failures: auth.NewFailures(opts.Failures, opts.Now),
		slots:    fair.New(opts.Decisions, 1), lines: make(map[string]int),
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	return s
}

func set[T int | time.Duration](v *T, standard T) {
	if *v <= 0 {
		*v = standard
	}
}

// Close ends the decisions that are being made, and waits for that.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	return waitgroup.Wait(ctx, &s.running)
}

// A Registration is what an account is made of.
type Registration struct {
	APIKey, Checksum, Name, Prompt string
}

// The longest that the parts of an account, and messages to it, may be, in
// bytes.
const (
	maxChecksum = 256
	maxName     = 128
	maxPrompt   = 16 << 10
	maxText     = 16 << 10
)

// Register makes an account and returns its token.
func (s *Service) Register(ctx context.Context, address string, r Registration) (string, error) {
	from := "key of " + auth.Network(address)
	if err := s.held(from); err != nil {
		return "", err
	}
	if given := sha256.Sum256([]byte(r.APIKey)); subtle.ConstantTimeCompare(given[:], s.key[:]) != 1 {
		s.failures.Fail(from)
		s.opts.Logger.Warn("registration with a wrong API key", "tenant", s.opts.Tenant, "address", address)
		return "", events.Errorf(events.CodeInvalidAPIKey, "the API key is not that of websocket.action.apiKey")
	}
	for _, f := range []struct {
		name, text string
		most       int
	}{{"checksum", r.Checksum, maxChecksum}, {"name", r.Name, maxName}, {"prompt", r.Prompt, maxPrompt}} {
		if err := checkText(f.name, f.text, f.most); err != nil {
			return "", err
		}
	}
	a := Account{ID: uuid.NewString(), Tenant: s.opts.Tenant, Lookup: s.sums.lookup(r.Checksum), Name: r.Name, Prompt: r.Prompt, CreatedAt: s.opts.Now()}
	var err error
	if a.Checksum, err = s.sums.hash(ctx, r.Checksum); err != nil {
		return "", err
	}
	token, hash := s.tokens.issue(a.ID, s.opts.TokenLife)
	a.Token = hash
	switch err := s.opts.Store.CreateAccount(ctx, a, s.opts.Accounts); {
	case errors.Is(err, ErrTaken):
		// Who may register could find out checksums this way.
		s.failures.Fail(from)
		s.opts.Logger.Warn("registration with the checksum of an account", "tenant", s.opts.Tenant, "address", address)
		return "", events.Errorf(events.CodeConflict, "there is an account with this checksum: connect with it, or choose another")
	case errors.Is(err, ErrFull):
		s.opts.Logger.Warn("there are too many accounts: raise websocket.action.accounts", "tenant", s.opts.Tenant, "accounts", s.opts.Accounts)
		return "", events.Errorf(events.CodeConflict, "there are as many accounts as websocket.action.accounts allows")
	case err != nil:
		return "", s.failed("an account could not be stored", err)
	}
	s.opts.Logger.Info("account registered", "tenant", a.Tenant, "account", a.ID, "address", address)
	s.opts.Told(a, Connected)
	return token, nil
}

// Connect returns a new token for an account. The one before is not good any
// more.
//
// A checksum can be guessed, unlike a key: who failed too often is held back,
// even with one that is right.
func (s *Service) Connect(ctx context.Context, address, checksum string) (string, error) {
	if err := checkText("checksum", checksum, maxChecksum); err != nil {
		return "", err
	}
	from := "checksum of " + auth.Network(address)
	if err := s.held(from); err != nil {
		return "", err
	}
	a, err := s.opts.Store.AccountByLookup(ctx, s.opts.Tenant, s.sums.lookup(checksum))
	if err == nil {
		var right bool
		if right, err = s.sums.match(ctx, checksum, a.Checksum); err == nil && !right {
			err = ErrNotFound
		}
	}
	switch {
	case errors.Is(err, ErrNotFound):
		s.failures.Fail(from)
		return "", events.Errorf(events.CodeNotFound, "there is no account with this checksum")
	case err != nil:
		return "", s.failed("an account could not be read", err)
	}
	token, hash := s.tokens.issue(a.ID, s.opts.TokenLife)
	if err := s.opts.Store.SetToken(ctx, a.ID, hash); err != nil {
		return "", s.failed("a token could not be stored", err)
	}
	s.opts.Told(a, Connected)
	return token, nil
}

// Disconnect ends a token.
func (s *Service) Disconnect(ctx context.Context, address, token string) error {
	a, err := s.verify(ctx, address, token)
	if err != nil {
		return err
	}
	switch err := s.opts.Store.DropToken(ctx, a.ID, a.Token); {
	case errors.Is(err, ErrNotFound): // somebody was faster
		return ended()
	case err != nil:
		return s.failed("a token could not be ended", err)
	}
	s.opts.Told(a, Disconnected)
	return nil
}

// verify returns whose token it is. A good one is good from everywhere, however
// many bad ones came before: it cannot be guessed.
func (s *Service) verify(ctx context.Context, address, token string) (Account, error) {
	id, refusal := s.tokens.verify(token)
	if refusal != nil {
		if refusal.Code == events.CodeTokenExpired {
			return Account{}, refusal
		}
		if wait := s.failures.Fail("token of " + auth.Network(address)); wait > 0 {
			return Account{}, auth.TooManyFailures(wait, "wait, then send another token")
		}
		return Account{}, refusal
	}
	a, err := s.opts.Store.Account(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && !a.has(token), err == nil && a.Tenant != s.opts.Tenant:
		return Account{}, ended()
	case err != nil:
		return Account{}, s.failed("an account could not be read", err)
	}
	return a, nil
}

// has reports whether a token is the one that is good.
func (a Account) has(token string) bool {
	return subtle.ConstantTimeCompare([]byte(a.Token), []byte(hashToken(token))) == 1
}

func ended() *events.Error {
	return events.Errorf(events.CodeCredentialRevoked, "the token has ended: connect again")
}

// held refuses who has to wait.
func (s *Service) held(key string) error {
	if wait := s.failures.Wait(key); wait > 0 {
		return auth.TooManyFailures(wait, "wait, then try again")
	}
	return nil
}

// failed logs an error that is not for clients.
func (s *Service) failed(what string, err error) error {
	if _, meant := events.Public(err); !meant && !errors.Is(err, context.Canceled) {
		s.opts.Logger.Error(what, "tenant", s.opts.Tenant, "error", err)
	}
	return err
}

// checkText refuses what is missing, too long or cannot be stored.
func checkText(field, text string, most int) error {
	switch {
	case text == "":
		return events.FieldErrorf(field, "is missing")
	case len(text) > most:
		return events.FieldErrorf(field, "has %d bytes, and may have %d", len(text), most)
	case strings.ContainsRune(text, 0):
		return events.FieldErrorf(field, "contains the character U+0000")
	}
	return nil
}
