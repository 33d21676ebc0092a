package journal

import "context"

// Occupy takes every slot in which a tenant may compute, until release is called.
func (e *Engine) Occupy(ctx context.Context, tenant string) (release func()) {
	for range e.computing.PerTenant() {
		e.computing.Acquire(ctx, tenant)
	}
	return func() {
		for range e.computing.PerTenant() {
			e.computing.Release(tenant)
		}
	}
}
