package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// An Issuer signs tokens. Its keys are in exactly one of Secret, PublicKeys,
// JWKS and Firebase.
type Issuer struct {
	Name     string // the tokens' iss
	Audience string // the tokens' aud

	// Secret and NextSecret verify HS256. Tokens are signed with the first;
	// those signed with the other are accepted too, so that one can follow
	// the other without a moment at which tokens are refused.
	Secret     []byte
	NextSecret []byte
	// PublicKeys verify RS256, ES256 or EdDSA, whichever each is for, in PEM.
	PublicKeys [][]byte
	// JWKS is the address of a JSON Web Key Set (RFC 7517), or of a JSON
	// object of certificates by key id.
	JWKS string
	// Firebase is the id of a Firebase project. Name and Audience follow from
	// it, and JWKS unless it is set.
	Firebase string

	// Tenants, unless empty, are the only ones that the issuer may speak for;
	// its tokens may then carry no permissions either.
	Tenants []string
	// Default is what a user is whose token names no tenant, if it has an ID.
	Default Membership
}

// The addresses of Firebase.
const (
	firebaseIssuer = "https://securetoken.google.com/"
	firebaseKeys   = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"
)

// minSecret is the size of the hash, below which a secret is weaker than it
// (RFC 7518, section 3.2).
const minSecret = 32

// complete fills in what follows from the project of Firebase.
func (i Issuer) complete() Issuer {
	if i.Firebase != "" {
		i.Name, i.Audience = firebaseIssuer+i.Firebase, i.Firebase
		if i.JWKS == "" {
			i.JWKS = firebaseKeys
		}
	}
	return i
}

// Check names what is wrong with the issuer.
func (i Issuer) Check() error {
	i = i.complete()
	switch {
	case i.Name == "":
		return errors.New("an issuer needs a name, the iss of its tokens")
	case i.Audience == "":
		return fmt.Errorf("issuer %s needs an audience, the aud of its tokens", i.Name)
	case i.Default.ID != "" && !i.Default.Role.Valid():
		return fmt.Errorf("issuer %s: defaultRole %q is not ADMIN, MEMBER or PUBLISHER", i.Name, i.Default.Role)
	case i.Default.ID != "" && len(i.Tenants) > 0 && !slices.Contains(i.Tenants, i.Default.ID):
		return fmt.Errorf("issuer %s: defaultTenant %s is not one of its tenants", i.Name, i.Default.ID)
	}
	return i.checkKeys()
}

func (i Issuer) checkKeys() error {
	sources := 0
	for _, set := range []bool{len(i.Secret) > 0, len(i.PublicKeys) > 0, i.JWKS != ""} {
		if set {
			sources++
		}
	}
	switch {
	case sources == 0:
		return fmt.Errorf("issuer %s has no keys: set secret, publicKeys, jwks or firebase", i.Name)
	case sources > 1:
		return fmt.Errorf("issuer %s has keys of several kinds: set one of secret, publicKeys, jwks and firebase", i.Name)
	case i.NextSecret != nil && i.Secret == nil:
		return fmt.Errorf("issuer %s has a nextSecret but no secret", i.Name)
	case i.JWKS != "":
		return checkKeysURL(i.Name, i.JWKS)
	case len(i.PublicKeys) > 0:
		_, err := publicKeys(i.Name, i.PublicKeys)
		return err
	}
	for name, secret := range map[string][]byte{"secret": i.Secret, "nextSecret": i.NextSecret} {
		if bytes.Contains(secret, []byte("-----BEGIN ")) {
			return fmt.Errorf("the %s of issuer %s is a key in PEM, which others may know: a public one belongs into publicKeys", name, i.Name)
		}
		if secret != nil && len(secret) < minSecret {
			return fmt.Errorf("the %s of issuer %s has %d bytes, at least %d are needed", name, i.Name, len(secret), minSecret)
		}
	}
	return nil
}

// checkKeysURL makes sure that keys do not come over a line that anybody can
// change, unless it does not leave the machine.
func checkKeysURL(issuer, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return fmt.Errorf("issuer %s: jwks %q is not an https address", issuer, address)
	}
	return nil
}

// A keySource has the keys that an issuer may have signed a token with. The
// error of keys, if it is an *events.Error, is for the client.
type keySource interface {
	keys(ctx context.Context, kid string) ([]key, error)
}

// issuer is an Issuer in use.
type issuer struct {
	Issuer
	source keySource
}

// verificationKeys returns the keys for a token: those of its key id whose
// algorithm is the token's. An algorithm belongs to a key and not to a token,
// else a public key would verify an HMAC that anybody can make.
func (i *issuer) verificationKeys(ctx context.Context, t *jwt.Token) (any, error) {
	if t.Header["crit"] != nil {
		return nil, errCritical
	}
	kid, _ := t.Header["kid"].(string)
	if kid == "" && i.Firebase != "" {
		return nil, errKeyUnknown
	}
	found, err := i.source.keys(ctx, kid)
	if err != nil {
		return nil, err
	}
	var set jwt.VerificationKeySet
	for _, k := range found {
		if k.alg == t.Method.Alg() {
			set.Keys = append(set.Keys, k.material)
		}
	}
	if len(set.Keys) == 0 {
		return nil, errAlgorithm
	}
	return set, nil
}
