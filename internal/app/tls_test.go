package app_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// certify writes a certificate for this machine and returns who trusts it.
func certify(t *testing.T, certFile, keyFile string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(writePEM(t, certFile, "CERTIFICATE", der))
	writePEM(t, keyFile, "EC PRIVATE KEY", raw)
	return pool
}

func writePEM(t *testing.T, path, kind string, der []byte) []byte {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return text
}

// Both listeners serve everything: what is REST, and what is a WebSocket.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := certify(t, certFile, keyFile, 1)
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) {
		c.Server.Addr = append(c.Server.Addr, "127.0.0.1:0")
		c.Server.TLS = config.TLS{Addr: []string{"127.0.0.1:0"}, CertFile: certFile, KeyFile: keyFile}
	}})
	addrs := s.App.Addrs()
	if len(addrs) != 3 {
		t.Fatalf("listens on %v", addrs)
	}
	secure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer secure.CloseIdleConnections()
	for url, client := range map[string]*http.Client{"http://" + addrs[0]: http.DefaultClient, "http://" + addrs[1]: http.DefaultClient, "https://" + addrs[2]: secure} {
		res, err := client.Get(url + "/health/live")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", url, res.Status)
		}
	}
	if _, err := tls.Dial("tcp", addrs[2], &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	ping(t, addrs[2], &tls.Config{RootCAs: pool}, s.Token("ann", "default", auth.Member))
}

// ping speaks WebSocket over TLS.
func ping(t *testing.T, addr string, conf *tls.Config, token string) {
	t.Helper()
	c, err := tls.Dial("tcp", addr, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "GET /ws/bots?token=%s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", token)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", res, err)
	}
	c.Write(websocket.AppendClientFrame(nil, websocket.OpText, []byte(`{"type":"ping"}`)))
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, head[1])
	if _, err := io.ReadFull(r, body); err != nil || string(body[:15]) != `{"type":"pong",` {
		t.Fatalf("%q %v", body, err)
	}
}
