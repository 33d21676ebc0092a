package openai

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/roomcast/roomcast/internal/chat/provider"
)

const (
	maxWait = 8 * time.Second
	// maxRetryAfter is how long an endpoint may ask to wait and be waited for.
	// Who waits for longer is better told.
	maxRetryAfter = 20 * time.Second
)

// Stream implements [provider.Provider]. A request that fails before its first
// token is repeated: nobody has seen anything of it.
func (p *Provider) Stream(ctx context.Context, r provider.Request, emit func(string) error) (provider.Response, error) {
	if err := r.Check(); err != nil {
		return provider.Response{}, err
	}
	req := translate(r)
	if err := refused(req); err != nil {
		return provider.Response{}, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, p.opts.Timeout, late("the language model gave no complete answer within %v", p.opts.Timeout))
	defer cancel()
	for retry := 0; ; retry++ {
		a := &attempt{opts: p.opts, emit: emit}
		err := a.run(limited, p.client, req)
		f, failed := errors.AsType[*failure](err)
		if failed && f.again && !a.started && retry < p.opts.Retries {
			if wait := p.wait(f, retry); wait <= maxRetryAfter && pause(limited, wait) {
				p.opts.Logger.Info("language model asked again", "model", r.Model, "after", wait, "error", f.told.Text, "cause", f.told.Cause)
				continue
			}
		}
		return a.response(r), told(ctx, limited, err)
	}
}

// wait is how long to wait before a retry: what the endpoint asks for, or longer
// each time, and never the same for many.
func (p *Provider) wait(f *failure, retry int) time.Duration {
	if f.told.RetryAfter > 0 {
		return f.told.RetryAfter + rand.N(f.told.RetryAfter/10+1)
	}
	most := min(p.opts.FirstWait<<min(retry, 10), maxWait)
	return most/2 + rand.N(most/2+1)
}

// pause waits, unless ctx ends before; if that is known, it does not begin.
func pause(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func late(format string, d time.Duration) *failure { return fail(provider.Timeout, format, d) }

// told is the error for the caller: its own, if its time is over, and one of the
// provider without what is only for this package.
func told(ctx, limited context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if limited.Err() != nil {
		err = context.Cause(limited)
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return &f.told
	}
	return err
}
