package bridge

import (
	"context"
	"errors"
	"fmt"
)

// Owner returns the tenant that a widget belongs to, "" if there is none.
func (s *Service) Owner(ctx context.Context, widgetID string) (tenant string, err error) {
	tenant, err = s.opts.Widgets.Widget(ctx, widgetID)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("looking up widget: %w", err)
	}
	return tenant, nil
}
