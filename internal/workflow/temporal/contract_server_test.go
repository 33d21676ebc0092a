//go:build temporal && devserver

package temporal

import (
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/workflow/temporal/temporaltest"
)

// TestContractOnServer has engines that share a task queue, one after the other,
// as servers do that are started again.
func TestContractOnServer(t *testing.T) {
	server := at(temporaltest.Start(t, *binary).Address)
	contract(t, func(o Options) (*Engine, func()) {
		o.Server, o.Heartbeat = server, time.Second
		return join(t, o)
	})
}
