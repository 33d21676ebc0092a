// Package authtest is an issuer of tokens for tests: it signs with keys of
// every kind, serves them as a JWK set, and can be made to rotate its keys, to
// hang and to die.
package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// A Key signs tokens.
type Key struct {
	ID     string
	Method jwt.SigningMethod
	Signer crypto.Signer
}

// NewKey returns a fresh key for RS256, ES256 or EdDSA.
func NewKey(t testing.TB, id string, m jwt.SigningMethod) Key {
	t.Helper()
	var signer crypto.Signer
	var err error
	switch m {
	case jwt.SigningMethodRS256:
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case jwt.SigningMethodES256:
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jwt.SigningMethodEdDSA:
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("no key for %s", m.Alg())
	}
	if err != nil {
		t.Fatal(err)
	}
	return Key{id, m, signer}
}

// Sign returns a token.
func (k Key) Sign(t testing.TB, c jwt.Claims) string {
	t.Helper()
	token := jwt.NewWithClaims(k.Method, c)
	if k.ID != "" {
		token.Header["kid"] = k.ID
	}
	s, err := token.SignedString(k.Signer)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// PEM returns the public key.
func (k Key) PEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.Signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// JWK returns the public key as a JSON Web Key.
func (k Key) JWK() map[string]any {
	j := map[string]any{"kid": k.ID, "use": "sig", "alg": k.Method.Alg()}
	text := base64.RawURLEncoding.EncodeToString
	switch public := k.Signer.Public().(type) {
	case *rsa.PublicKey:
		j["kty"], j["n"], j["e"] = "RSA", text(public.N.Bytes()), text(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		raw, _ := public.Bytes() // 4, x, y
		j["kty"], j["crv"], j["x"], j["y"] = "EC", "P-256", text(raw[1:33]), text(raw[33:])
	case ed25519.PublicKey:
		j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", text(public)
	}
	return j
}

// A Server serves a JWK set.
type Server struct {
	t    testing.TB
	addr string

	mu      sync.Mutex
	hs      *httptest.Server
	keys    []Key
	body    []byte        // instead of the keys, if set
	hanging chan struct{} // closed to go on; nil unless it hangs
	arrived chan struct{} // gets a value for every request
	fetches int
}

// NewServer starts a server.
func NewServer(t testing.TB, keys ...Key) *Server {
	t.Helper()
	s := &Server{t: t, keys: keys, arrived: make(chan struct{}, 1000)}
	s.listen("127.0.0.1:0")
	t.Cleanup(func() {
		s.Resume()
		s.Die()
	})
	return s
}

func (s *Server) listen(addr string) {
	s.t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = l.Addr().String()
	hs := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(s.serve)}}
	hs.Start()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hs = hs
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.fetches++
	hanging, body := s.hanging, s.body
	set := []map[string]any{{"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}} // nothing to trust
	for _, k := range s.keys {
		set = append(set, k.JWK())
	}
	s.mu.Unlock()
	s.arrived <- struct{}{}
	if hanging != nil {
		select {
		case <-hanging:
		case <-r.Context().Done():
			return
		}
	}
	if body != nil {
		w.Write(body)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"keys": set})
}

// URL is where the set is.
func (s *Server) URL() string { return "http://" + s.addr + "/jwks.json" }

// Fetches returns how often the set was asked for.
func (s *Server) Fetches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

// Arrived gets a value for every request, when it has come in.
func (s *Server) Arrived() <-chan struct{} { return s.arrived }

// Rotate serves other keys from now on.
func (s *Server) Rotate(keys ...Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
}

// Answer serves something else than keys; nil ends that.
func (s *Server) Answer(body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body = body
}

// Hang lets requests wait until Resume.
func (s *Server) Hang() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hanging = make(chan struct{})
}

// Resume answers those who wait.
func (s *Server) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hanging != nil {
		close(s.hanging)
		s.hanging = nil
	}
}

// Die ends the server: connections are refused.
func (s *Server) Die() {
	s.mu.Lock()
	hs := s.hs
	s.hs = nil
	s.mu.Unlock()
	if hs != nil {
		hs.CloseClientConnections()
		hs.Close()
	}
}

// Revive starts it again at the same address.
func (s *Server) Revive() { s.listen(s.addr) }
