package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// A key verifies signatures of one algorithm.
type key struct {
	id       string
	alg      string
	material any // as the algorithm of package jwt wants it
}

// algorithms are all that any key can be for.
var algorithms = []string{
	jwt.SigningMethodHS256.Alg(), jwt.SigningMethodRS256.Alg(), jwt.SigningMethodES256.Alg(), jwt.SigningMethodEdDSA.Alg(),
}

// known reports whether a method is one of those.
func known(m jwt.SigningMethod) bool {
	for _, alg := range algorithms {
		if m != nil && m.Alg() == alg {
			return true
		}
	}
	return false
}

// minRSA is the shortest modulus in bits (RFC 7518, section 3.3).
const minRSA = 2048

// newKey finds the one algorithm that a public key is for.
func newKey(id string, public any) (key, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSA {
			return key{}, fmt.Errorf("an RSA key of %d bits is too short, %d are needed", k.N.BitLen(), minRSA)
		}
		return key{id, jwt.SigningMethodRS256.Alg(), k}, nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return key{}, fmt.Errorf("the curve %s is not P-256", k.Curve.Params().Name)
		}
		return key{id, jwt.SigningMethodES256.Alg(), k}, nil
	case ed25519.PublicKey:
		return key{id, jwt.SigningMethodEdDSA.Alg(), k}, nil
	}
	return key{}, fmt.Errorf("a key of type %T is not RSA, ECDSA or Ed25519", public)
}

// fixed are keys that do not change while the server runs. They are found
// whatever id a token names.
type fixed []key

func (f fixed) keys(context.Context, string) ([]key, error) { return f, nil }

func secrets(list ...[]byte) (keys fixed) {
	for _, s := range list {
		if len(s) > 0 {
			keys = append(keys, key{alg: jwt.SigningMethodHS256.Alg(), material: s})
		}
	}
	return keys
}

// publicKeys reads blocks of PEM, each with one or more keys or certificates.
func publicKeys(issuer string, blocks [][]byte) (keys fixed, err error) {
	for n, rest := range blocks {
		before := len(keys)
		for {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			k, err := decodeBlock(block)
			if err != nil {
				return nil, fmt.Errorf("issuer %s: publicKeys[%d]: %w", issuer, n, err)
			}
			keys = append(keys, k)
		}
		if len(keys) == before {
			return nil, fmt.Errorf("issuer %s: publicKeys[%d] holds no PEM, which begins with -----BEGIN PUBLIC KEY-----", issuer, n)
		}
	}
	return keys, nil
}

func decodeBlock(block *pem.Block) (key, error) {
	switch block.Type {
	case "PUBLIC KEY":
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return key{}, err
		}
		return newKey("", public)
	case "RSA PUBLIC KEY":
		public, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return key{}, err
		}
		return newKey("", public)
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return key{}, err
		}
		return newKey("", cert.PublicKey)
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
		return key{}, errors.New("this is a private key: keep it with the issuer, and give the public one here")
	}
	return key{}, fmt.Errorf("%s is not a public key or a certificate", block.Type)
}
