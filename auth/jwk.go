package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// jwk is a JSON Web Key (RFC 7517; RFC 7518, section 6; RFC 8037).
type jwk struct {
	Kty    string   `json:"kty"`
	Kid    string   `json:"kid"`
	Use    string   `json:"use"`
	KeyOps []string `json:"key_ops"`
	Alg    string   `json:"alg"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	Crv    string   `json:"crv"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
}

// parseKeySet reads a JWK set, or an object of certificates by key id. Keys
// that are not for signatures that we verify are left out, as RFC 7517,
// section 5 asks; a set without any is an error.
func parseKeySet(raw []byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, errors.New("what was fetched is not a JWK set")
	}
	if set.Keys == nil {
		return parseCertificates(raw)
	}
	var keys []key
	for _, one := range set.Keys {
		var j jwk
		if json.Unmarshal(one, &j) != nil {
			continue
		}
		if k, err := j.key(); err == nil {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the JWK set holds no RS256, ES256 or EdDSA key")
	}
	return keys, nil
}

func parseCertificates(raw []byte) ([]key, error) {
	var byID map[string]string
	if err := json.Unmarshal(raw, &byID); err != nil {
		return nil, errors.New("what was fetched is neither a JWK set nor certificates by key id")
	}
	var keys []key
	for id, text := range byID {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			continue
		}
		if k, err := decodeBlock(block); err == nil {
			k.id = id
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("what was fetched holds no certificate of a key that we verify")
	}
	return keys, nil
}

func (j jwk) key() (key, error) {
	if j.Use != "" && j.Use != "sig" || j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify") {
		return key{}, errors.New("not for signatures")
	}
	public, err := j.public()
	if err != nil {
		return key{}, err
	}
	k, err := newKey(j.Kid, public)
	if err == nil && j.Alg != "" && j.Alg != k.alg {
		return key{}, fmt.Errorf("for %s, which is not verified here", j.Alg)
	}
	return k, err
}

func (j jwk) public() (any, error) {
	switch {
	case j.Kty == "RSA":
		n, err1 := decodeInt(j.N)
		e, err2 := decodeInt(j.E)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		if !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 {
			return nil, errors.New("the exponent is out of range")
		}
		return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
	case j.Kty == "EC" && j.Crv == "P-256":
		x, err1 := base64.RawURLEncoding.DecodeString(j.X)
		y, err2 := base64.RawURLEncoding.DecodeString(j.Y)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		if len(x) != 32 || len(y) != 32 {
			return nil, errors.New("the coordinates do not have 32 bytes")
		}
		// Refuses what is not a point on the curve.
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	case j.Kty == "OKP" && j.Crv == "Ed25519":
		x, err := base64.RawURLEncoding.DecodeString(j.X)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, errors.New("the key does not have 32 bytes")
		}
		return ed25519.PublicKey(x), nil
	}
	return nil, fmt.Errorf("a key of type %q is not verified here", j.Kty)
}

func decodeInt(s string) (*big.Int, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) == 0 {
		return nil, errors.New("a number is not base64url")
	}
	return new(big.Int).SetBytes(b), nil
}
