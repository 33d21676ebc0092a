//go:build temporal

package temporal

import (
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/roomcast/roomcast/internal/certificate"
)

// Server is where Temporal is.
type Server struct {
	Address   string // host:port
	Namespace string
	// TaskQueue is what runs wait in. Servers with the same store share one;
	// those with another must have another: what they do not find is lost.
	TaskQueue string
	// APIKey, if set, is sent with every request.
	APIKey string
	TLS    certificate.Client
	// Timeout is how long Temporal may take to answer before it counts as away.
	Timeout time.Duration
}

// client returns the client's options.
func (s Server) client(l *slog.Logger) (client.Options, error) {
	secured, err := s.TLS.Config("workflow.temporal.tls")
	if err != nil {
		return client.Options{}, err
	}
	o := client.Options{
		HostPort: s.Address, Namespace: s.Namespace,
		Logger:            log.NewStructuredLogger(l),
		ConnectionOptions: client.ConnectionOptions{TLS: secured, TLSDisabled: secured == nil, GetSystemInfoTimeout: s.Timeout},
	}
	if s.APIKey != "" {
		o.Credentials = client.NewAPIKeyStaticCredentials(s.APIKey)
	}
	return o, nil
}
