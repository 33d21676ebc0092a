//go:build temporal

package temporal

import (
	"sync"
	"testing"

	"github.com/roomcast/roomcast/internal/store/sqlite/sqlitetest"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/enginetest"
)

// contract runs what every engine has to do. open makes an engine and returns
// how to stop it.
func contract(t *testing.T, open func(Options) (*Engine, func())) {
	enginetest.Test(t, enginetest.Options{
		Store: func(t *testing.T) workflow.Store {
			db := sqlitetest.Open(t)
			return db.Workflows()
		},
		Open: func(_ *testing.T, s enginetest.Setup) enginetest.Subject {
			e, stop := open(Options{
				Store: s.Store, Feed: s.Feed, Types: s.Types, Logger: s.Logger, Limits: s.Limits,
			})
			stop = sync.OnceFunc(stop)
			return enginetest.Subject{Engine: e, Kill: stop, Close: stop, Repeated: func() uint64 { return uint64(e.Counts().Repeated) }}
		},
	})
}

// TestContract runs what every engine has to do.
func TestContract(t *testing.T) {
	s := newSimulated()
	contract(t, func(o Options) (*Engine, func()) {
		e := newEngine(o)
		s.attach(e)
		return e, s.detach
	})
}
