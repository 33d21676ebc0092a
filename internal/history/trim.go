package history

import (
	"context"
	"time"

	"github.com/roomcast/roomcast/internal/every"
)

const (
	trimInterval = 5 * time.Second
	trimBatch    = 1000 // entries of one room in one transaction
)

// Run trims histories until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	every.Do(ctx, trimInterval, func(time.Time) {
		if err := s.Trim(ctx); err != nil && ctx.Err() == nil {
			s.opts.Logger.Error("histories were not trimmed", "error", err)
		}
	})
	return ctx.Err()
}

// Trim removes what is beyond the limits, in small transactions, so that those
// who publish need not wait for it.
func (s *Service) Trim(ctx context.Context) error {
	for {
		n, err := s.opts.Store.Trim(ctx, s.opts.Count, s.opts.Now().Add(-s.opts.Age), trimBatch)
		s.trimmed.Add(int64(n))
		if n == 0 || err != nil {
			return err
		}
	}
}
