package accounts

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// memory is a Store without turns of others.
type memory struct {
	mu        sync.Mutex
	accounts  map[string]Account
	exchanges []Exchange
	broken    error
}

func (m *memory) locked(fn func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	return fn()
}

func (m *memory) CreateAccount(_ context.Context, a Account, most int) error {
	return m.locked(func() error {
		for _, other := range m.accounts {
			if other.Lookup == a.Lookup {
				return ErrTaken
			}
		}
		if len(m.accounts) >= most {
			return ErrFull
		}
		m.accounts[a.ID] = a
		return nil
	})
}

func (m *memory) AccountByLookup(_ context.Context, _, lookup string) (found Account, err error) {
	err = m.locked(func() error {
		for _, a := range m.accounts {
			if a.Lookup == lookup {
				found = a
				return nil
			}
		}
		return ErrNotFound
	})
	return found, err
}

func (m *memory) Account(_ context.Context, id string) (a Account, err error) {
	err = m.locked(func() error {
		var ok bool
		if a, ok = m.accounts[id]; !ok {
			return ErrNotFound
		}
		return nil
	})
	return a, err
}

func (m *memory) SetToken(_ context.Context, id, hash string) error {
	return m.locked(func() error {
		a := m.accounts[id]
		a.Token = hash
		m.accounts[id] = a
		return nil
	})
}

func (m *memory) DropToken(ctx context.Context, id, _ string) error { return m.SetToken(ctx, id, "") }

func (m *memory) TakeTurn(context.Context, string, string, time.Duration) (bool, error) {
	return true, m.locked(func() error { return nil })
}

func (m *memory) Exchanges(context.Context, string, int) (said []Exchange, err error) {
	err = m.locked(func() error { said = m.exchanges; return nil })
	return said, err
}

func (m *memory) EndTurn(_ context.Context, _, _ string, x *Exchange, _ int) error {
	return m.locked(func() error {
		if x != nil {
			m.exchanges = append(m.exchanges, *x)
		}
		return nil
	})
}

// echo answers with what it was asked.
type echo func(p Prompt) (Answer, error)

func (e echo) Answer(_ context.Context, p Prompt) (Answer, error) { return e(p) }

func newService(t *testing.T, change func(*Options)) (*Service, *memory) {
	t.Helper()
	m := &memory{accounts: map[string]Account{}}
	opts := Options{
		Store: m, Model: echo(func(p Prompt) (Answer, error) { return Answer{Text: p.Message}, nil }),
		APIKey: "key", Secret: []byte(strings.Repeat("s", 32)), Owner: func() string { return "one" }, Tenant: "acme", History: 3, Failures: auth.FailureOptions{Limit: 2, Window: time.Hour, MaxWait: time.Minute},
	}
	if change != nil {
		change(&opts)
	}
	s := New(opts)
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, m
}

func register(t *testing.T, s *Service, checksum string) string {
	t.Helper()
	token, err := s.Register(t.Context(), "192.0.2.1", Registration{"key", checksum, "tom", "juste le boss"})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func code(err error) events.Code {
	if err == nil {
		return ""
	}
	e, _ := events.Public(err)
	return e.Code
}

// What is stored shows neither checksums nor tokens, and is different for each
// account and under each secret.
func TestNothingSecretIsKept(t *testing.T) {
	s, m := newService(t, nil)
	token := register(t, s, "azerty")
	other, theirs := newService(t, func(o *Options) { o.Secret = []byte(strings.Repeat("o", 32)) })
	register(t, other, "azerty")
	one, _ := m.AccountByLookup(t.Context(), "acme", s.sums.lookup("azerty"))
	two, _ := theirs.AccountByLookup(t.Context(), "acme", other.sums.lookup("azerty"))
	if kept := fmt.Sprint(one, two); strings.Contains(kept, "azerty") || strings.Contains(kept, token) || strings.Contains(kept, strings.Split(token, ".")[2]) {
		t.Errorf("kept: %s", kept)
	}
	if one.Lookup == two.Lookup || one.Checksum == two.Checksum || one.ID == "" || !one.has(token) {
		t.Errorf("%+v\n%+v", one, two)
	}
	if _, err := other.Connect(t.Context(), "x", "azerty"); err != nil {
		t.Error(err)
	}
	// The hash is checked, whatever found the account.
	one.Checksum = two.Checksum[:len(two.Checksum)-1] + "x"
	m.accounts[one.ID] = one
	if _, err := s.Connect(t.Context(), "x", "azerty"); code(err) != events.CodeNotFound {
		t.Error(err)
	}
	for _, broken := range []string{"", "md5$1$00$00", "pbkdf2-sha256$x$00$00", "pbkdf2-sha256$1$x$00"} {
		if ok, err := s.sums.match(t.Context(), "azerty", broken); ok || err == nil {
			t.Errorf("%q: %v %v", broken, ok, err)
		}
	}
}

func TestGuessesAreHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m := newService(t, nil)
		register(t, s, "azerty")
		n := 0
		guess := func(address string) (events.Code, int) {
			n++
			_, err := s.Connect(t.Context(), address, fmt.Sprint("guess ", n))
			e, _ := events.Public(err)
			return e.Code, e.RetryAfter
		}
		for range 3 {
			if c, _ := guess("192.0.2.1"); c != events.CodeNotFound {
				t.Errorf("within the limit: %s", c)
			}
		}
		for _, wait := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
			for range 3 { // asking meanwhile changes nothing
				if c, after := guess("192.0.2.1"); c != events.CodeTooManyFailures || after != wait {
					t.Errorf("%s, wait %d, want %d", c, after, wait)
				}
			}
			if _, err := s.Connect(t.Context(), "192.0.2.1", "azerty"); code(err) != events.CodeTooManyFailures {
				t.Errorf("who waits was let in: %v", err)
			}
			time.Sleep(time.Duration(wait) * time.Second)
			if c, _ := guess("192.0.2.1"); c != events.CodeNotFound {
				t.Errorf("after %d s: %s", wait, c)
			}
		}
		if _, err := s.Connect(t.Context(), "192.0.2.2", "azerty"); err != nil {
			t.Errorf("from elsewhere: %v", err)
		}
		// A network of IPv6 is one address.
		for i := range 4 {
			c, _ := guess(fmt.Sprintf("2001:db8::%d", i))
			if want := i == 3; (c == events.CodeTooManyFailures) != want {
				t.Errorf("%d: %s", i, c)
			}
		}
		// Nobody is kept from an account by those who tried its checksum before it
		// was registered, on another server.
		other, _ := newService(t, func(o *Options) { o.Store = m })
		for i := range 9 {
			if _, err := s.Connect(t.Context(), fmt.Sprint("10.0.0.", i), "qwerty"); code(err) != events.CodeNotFound {
				t.Error(err)
			}
		}
		register(t, other, "qwerty")
		if _, err := s.Connect(t.Context(), "10.0.0.9", "qwerty"); err != nil {
			t.Error(err)
		}
		// Registering the checksum of another is a guess, too.
		for i := range 4 {
			_, err := s.Register(t.Context(), "10.1.0.1", Registration{"key", "azerty", "n", "p"})
			if want := i == 3; (code(err) == events.CodeTooManyFailures) != want {
				t.Errorf("%d: %v", i, err)
			}
		}
	})
}

func TestTokens(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	keyed := func(key string) tokens { return tokens{key: []byte(key), now: func() time.Time { return now }} }
	ours := keyed("ours")
	good, _ := ours.issue("a1", time.Hour)
	again, _ := ours.issue("a1", time.Hour)
	foreign, _ := keyed("theirs").issue("a1", time.Hour)
	nobody, _ := ours.issue("", time.Hour)
	if good == again {
		t.Error("two tokens are the same")
	}
	sign := func(claims string) string {
		signed := tokenHeader + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
		return signed + "." + ours.sign(signed)
	}
	for token, want := range map[string]events.Code{
		good:    "",
		foreign: events.CodeTokenSignature,
		nobody:  events.CodeTokenClaims,
		sign(`{"user_id":"a1","aud":"action","exp":1}`):            events.CodeTokenExpired,
		sign(`{"user_id":"a1","aud":"action"}`):                    events.CodeTokenExpired,
		sign(`{"user_id":"a1","aud":"roomcast","exp":9999999999}`): events.CodeTokenClaims,
		sign(`{"user_id":"a1","exp":9999999999}`):                  events.CodeTokenClaims,
		sign(`[]`):        events.CodeTokenClaims,
		"":                events.CodeTokenInvalid,
		"a.b":             events.CodeTokenInvalid,
		tokenHeader + ".": events.CodeTokenInvalid,
		tokenHeader + ".." + ours.sign(tokenHeader+"."):   events.CodeTokenClaims,
		tokenHeader + ".!." + ours.sign(tokenHeader+".!"): events.CodeTokenClaims,
		"x" + good: events.CodeTokenInvalid,
		strings.Replace(good, "eyJhbGciOiJIUzI1NiIs", "eyJhbGciOiJub25lIiwi", 1): events.CodeTokenInvalid,
		good + strings.Repeat("A", maxToken):                                     events.CodeTokenInvalid,
		good[:strings.LastIndexByte(good, '.')+1]:                                events.CodeTokenSignature,
	} {
		account, refusal := ours.verify(token)
		got := events.Code("")
		if refusal != nil {
			got = refusal.Code
		}
		if got != want || (account == "a1") != (want == "") {
			t.Errorf("%q: %q %s, want %s", token, account, got, want)
		}
	}
}

// decide waits for a decision.
func decide(t *testing.T, s *Service, token, message string) (string, error) {
	t.Helper()
	type outcome struct {
		answer string
		err    error
	}
	done := make(chan outcome, 1)
	if err := s.Decide(t.Context(), "x", token, message, func(answer string, err error) { done <- outcome{answer, err} }); err != nil {
		return "", err
	}
	o := <-done
	return o.answer, o.err
}

func TestDecisionsThatFail(t *testing.T) {
	answer := Answer{Text: "fine"}
	var failure error
	panics := false
	s, m := newService(t, func(o *Options) {
		o.Model = echo(func(Prompt) (Answer, error) {
			if panics {
				panic("model")
			}
			return answer, failure
		})
	})
	token := register(t, s, "azerty")
	try := func(want string) {
		t.Helper()
		if got, err := decide(t, s, token, "x"); got != want || (err == nil) != (want != "") {
			t.Errorf("%q %v", got, err)
		}
	}
	try("fine")
	answer.Text = "a\x00b\xff"
	try("ab\uFFFD")
	answer.Text = strings.Repeat("x", maxAnswer+1)
	try("")
	answer.Text, failure = "half", errors.New("broke off")
	try("")
	failure, panics = nil, true
	try("")
	panics = false
	m.broken = errors.New("away")
	try("")
	m.broken = nil
	try("half")
	if len(m.exchanges) != 3 || len(s.lines) != 0 || s.all != 0 {
		t.Errorf("%d exchanges, %d lines, %d decisions", len(m.exchanges), len(s.lines), s.all)
	}
}

func TestWhatIsRemembered(t *testing.T) {
	x := func(n int) Exchange {
		return Exchange{Message: strings.Repeat("m", n/2), Answer: strings.Repeat("a", n-n/2)}
	}
	for _, tt := range []struct{ sizes, want []int }{
		{nil, nil},
		{[]int{10, 20, 30}, []int{20, 30}},
		{[]int{10, 20, 30, 20}, []int{30, 20}},
		{[]int{51}, nil},
		{[]int{50}, []int{50}},
	} {
		var said []Exchange
		for _, n := range tt.sizes {
			said = append(said, x(n))
		}
		var got []int
		for _, e := range newest(said, 50) {
			got = append(got, len(e.Message)+len(e.Answer))
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%v: %v, want %v", tt.sizes, got, tt.want)
		}
	}
}

// After Close nothing is decided, and what was being decided ends.
func TestClose(t *testing.T) {
	asked := make(chan struct{})
	s, _ := newService(t, nil)
	s.opts.Model = untilEnd{asked}
	token := register(t, s, "azerty")
	if err := s.Decide(t.Context(), "x", token, "m", func(string, error) { t.Error("somebody was told") }); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Decide(t.Context(), "x", token, "m", nil); code(err) != events.CodeConflict {
		t.Error(err)
	}
}

type untilEnd struct{ asked chan struct{} }

func (u untilEnd) Answer(ctx context.Context, _ Prompt) (Answer, error) {
	close(u.asked)
	<-ctx.Done()
	return Answer{}, ctx.Err()
}

// Too many who connect at once are refused, and who goes away waits no longer.
func TestHashingIsBounded(t *testing.T) {
	c := newChecksums([]byte("k"))
	for range cap(c.slots) {
		c.slots <- struct{}{}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.hash(gone, "x"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for range cap(c.queued) {
		c.queued <- struct{}{}
	}
	if _, err := c.hash(t.Context(), "x"); code(err) != events.CodeRateLimited {
		t.Error(err)
	}
}
