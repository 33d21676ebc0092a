package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// A Client is how connections to a server elsewhere are secured.
type Client struct {
	Enabled bool
	// CA is a PEM file of authorities; those of the system unless set.
	CA string
	// Cert and Key are PEM files, for servers that ask for them.
	Cert, Key string
	// ServerName is what the server's certificate must say; the host unless set.
	ServerName string
}

// Config returns nil if there is to be no TLS. Errors name the field of the
// setting that these are, such as "redis.tls".
func (c Client) Config(setting string) (*tls.Config, error) {
	if !c.Enabled {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("%s.ca: %w", setting, err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s.ca: %s has no certificate", setting, c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("%s.cert and %s.key: %w", setting, setting, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
