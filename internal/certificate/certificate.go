// Package certificate serves a certificate from files, and takes up another one
// when the files change; and it reads those that a client needs.
package certificate

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Options configure a [Certificate].
type Options struct {
	// CertFile has the certificate and those of its issuers, KeyFile its key; both
	// are PEM.
	CertFile, KeyFile string
	// Every is how often the files are looked at, when somebody connects.
	// Default 1 s.
	Every  time.Duration
	Logger *slog.Logger
}

// A Certificate is that of the files as they are now. Files that cannot be read,
// or do not belong together, leave the one that was read before: whoever
// changes them need not do both at once. Its methods may be called concurrently.
type Certificate struct {
	opts Options

	mu      sync.Mutex
	looked  time.Time
	cert    *tls.Certificate
	version string // of the files that were read last, also when that failed, or why they have none
}

// Open reads the files.
func Open(opts Options) (*Certificate, error) {
	if opts.Every <= 0 {
		opts.Every = time.Second
	}
	c := &Certificate{opts: opts, looked: time.Now()}
	var err error
	if c.version, err = c.stat(); err != nil {
		return nil, err
	}
	if c.cert, err = c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

// Config returns how to serve it: with TLS 1.2 at least, and HTTP/1.1, which
// WebSockets begin with.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil },
	}
}

// current returns the certificate, after a look at the files if the last is a
// while ago.
func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < c.opts.Every {
		return c.cert
	}
	c.looked = time.Now()
	version, err := c.stat()
	if err != nil {
		version = err.Error()
	}
	if version == c.version {
		return c.cert
	}
	c.version = version
	var cert *tls.Certificate
	if err == nil {
		cert, err = c.read()
	}
	if err != nil {
		c.opts.Logger.Error("the certificate has changed and cannot be used, the one before is served on", "error", err)
		return c.cert
	}
	c.cert = cert
	c.opts.Logger.Info("the certificate has changed", "subject", cert.Leaf.Subject.CommonName, "expires", cert.Leaf.NotAfter)
	return c.cert
}

// stat returns a text that changes with the files.
func (c *Certificate) stat() (version string, err error) {
	for _, path := range []string{c.opts.CertFile, c.opts.KeyFile} {
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		version += fmt.Sprintf("%d/%d ", info.ModTime().UnixNano(), info.Size())
	}
	return version, nil
}

func (c *Certificate) read() (*tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(c.opts.CertFile, c.opts.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", c.opts.CertFile, c.opts.KeyFile, err)
	}
	return &cert, nil
}
