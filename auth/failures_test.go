package auth

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast/events"
)

func TestFailuresAreToldToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := New(Options{Issuers: []Issuer{issuer0}, Failures: FailureOptions{Limit: 3}})
		good, _ := issuer0.Sign(ada, time.Now(), time.Hour)
		n := 0
		try := func(from string) (events.Code, int) {
			n++
			_, err := a.Authenticate(t.Context(), guess(fmt.Sprintf("guess %d", n)).From(from))
			var e *events.Error
			errors.As(err, &e)
			return e.Code, e.RetryAfter
		}
		for range 3 {
			if code, _ := try("192.0.2.1"); code != events.CodeTokenInvalid {
				t.Errorf("within the limit: %s", code)
			}
		}
		for _, want := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
			if code, wait := try("192.0.2.1"); code != events.CodeTooManyFailures || wait != want {
				t.Errorf("%s, wait %d, want %d", code, wait, want)
			}
		}
		if code, _ := try("192.0.2.2"); code != events.CodeTokenInvalid {
			t.Errorf("another address: %s", code)
		}
		if _, err := a.Authenticate(t.Context(), guess(good).From("192.0.2.1")); err != nil {
			t.Errorf("a good credential from a bad address: %v", err)
		}
		time.Sleep(61 * time.Second)
		if code, _ := try("192.0.2.1"); code != events.CodeTokenInvalid {
			t.Errorf("after a while: %s", code)
		}
		// The same credential from many addresses.
		for i := range 5 {
			_, err := a.Authenticate(t.Context(), guess("the same").From(fmt.Sprint(i)))
			if want := when(events.CodeTooManyFailures, i >= 3); want != "" && code(err) != want {
				t.Errorf("time %d: %v", i, err)
			}
		}
		// An old token is no guess: its address is not held against others.
		for i := range 10 {
			old, _ := issuer0.Sign(Identity{User: fmt.Sprint(i)}, time.Now().Add(-2*time.Hour), time.Hour)
			if _, err := a.Authenticate(t.Context(), guess(old).From("192.0.2.9")); code(err) != events.CodeTokenExpired {
				t.Errorf("old token %d: %v", i, err)
			}
		}
	})
}

func TestFailuresAreBounded(t *testing.T) {
	f := NewFailures(FailureOptions{}, time.Now)
	for i := range maxFailing + 100 {
		f.Fail(fmt.Sprint(i))
	}
	if len(f.failing) > maxFailing {
		t.Errorf("%d are remembered", len(f.failing))
	}
}

// A network of IPv6 is one address: everybody has 2^64 of them.
func TestFailuresOfANetworkAreCountedTogether(t *testing.T) {
	a, _ := New(Options{Issuers: []Issuer{issuer0}, Failures: FailureOptions{Limit: 3}})
	n := 0
	try := func(from string) events.Code {
		n++
		_, err := a.Authenticate(t.Context(), guess(fmt.Sprint("guess ", n)).From(from))
		return code(err)
	}
	for i, from := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::ffff:1", "2001:db8:0:0:1::", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1"} {
		if want := i%4 == 3; (try(from) == events.CodeTooManyFailures) != want {
			t.Errorf("%d, %s: told to wait is not %v", i, from, want)
		}
	}
	for _, from := range []string{"2001:db8:0:1::1", "192.0.2.2"} {
		if got := try(from); got != events.CodeTokenInvalid {
			t.Errorf("%s: %s", from, got)
		}
	}
}

// Who has to wait can ask how long, which counts as nothing.
func TestFailuresWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFailures(FailureOptions{Limit: 1}, time.Now)
		f.Fail("x")
		if wait := f.Wait("x"); wait != 0 {
			t.Errorf("within the limit: %v", wait)
		}
		f.Fail("x")
		f.Fail("x")
		time.Sleep(500 * time.Millisecond)
		for range 3 {
			if wait := f.Wait("x"); wait != 1500*time.Millisecond {
				t.Errorf("in the middle: %v", wait)
			}
		}
		time.Sleep(2 * time.Second)
		if wait := f.Wait("x") + f.Wait("y"); wait != 0 {
			t.Errorf("after it: %v", wait)
		}
		f.Forget("x")
		if wait := f.Fail("x"); wait != 0 {
			t.Errorf("forgotten: %v", wait)
		}
	})
}
