//go:build temporal

package temporal

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
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
	TLS    TLS
	// Timeout is how long Temporal may take to answer before it counts as away.
	Timeout time.Duration
}

// TLS is how connections are secured.
type TLS struct {
	Enabled bool
	// CA is a PEM file of authorities; those of the system unless set.
	CA string
	// Cert and Key are PEM files, for servers that ask for them.
	Cert, Key string
	// ServerName is what the certificate must say; the host unless set.
	ServerName string
}

// client returns the client's options.
func (s Server) client(l *slog.Logger) (client.Options, error) {
	secured, err := s.TLS.config()
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

// config returns nil if there is to be no TLS.
func (t TLS) config() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("workflow.temporal.tls.ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("workflow.temporal.tls.ca: " + t.CA + " has no certificate")
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("workflow.temporal.tls.cert and workflow.temporal.tls.key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
