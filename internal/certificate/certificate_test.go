package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair makes a certificate for a name, with its key.
func pair(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
}

func write(t *testing.T, path string, data []byte, at time.Time) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestChange(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	opts := Options{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), Every: time.Nanosecond}
	var log bytes.Buffer
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	if _, err := Open(opts); err == nil || !strings.Contains(err.Error(), "cert.pem") {
		t.Fatalf("no file: %v", err)
	}
	oneCert, oneKey := pair(t, "one")
	twoCert, twoKey := pair(t, "two")
	write(t, opts.CertFile, oneCert, now)
	write(t, opts.KeyFile, oneKey, now)
	c, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	served := func(want string) {
		t.Helper()
		cert, _ := c.Config().GetCertificate(&tls.ClientHelloInfo{})
		if got := cert.Leaf.Subject.CommonName; got != want {
			t.Errorf("served %s, want %s\n%s", got, want, &log)
		}
	}
	served("one")
	write(t, opts.CertFile, twoCert, now.Add(time.Second)) // its key comes later
	served("one")
	if !strings.Contains(log.String(), "cannot be used") {
		t.Errorf("it was not told:\n%s", &log)
	}
	os.Remove(opts.KeyFile)
	served("one")
	served("one")
	if strings.Count(log.String(), "cannot be used") != 2 || strings.Count(log.String(), "no such file") != 1 {
		t.Errorf("a file that is missing is to be told once:\n%s", &log)
	}
	write(t, opts.KeyFile, twoKey, now.Add(2*time.Second))
	served("two")
}
