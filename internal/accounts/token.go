package accounts

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
)

// audience says what the tokens are for: this, and nothing else here.
const audience = "action"

// maxToken bounds what is looked at of a token, in bytes.
const maxToken = 1 << 10

// tokens are JWTs, signed with HS256 under a key that nothing else is signed
// with. Only those made here are ever good, so only what is made here is read:
// the header is compared and not interpreted, and there is nothing to confuse.
type tokens struct {
	key []byte
	now func() time.Time
}

// tokenClaims are what is in a token.
type tokenClaims struct {
	Account  string `json:"user_id"`
	Audience string `json:"aud"`
	Issued   int64  `json:"iat"` // seconds since 1970, as Expires
	Expires  int64  `json:"exp"`
	ID       string `json:"jti"`
}

var tokenHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

// issue makes a token, and the hash by which it is known.
func (t tokens) issue(account string, life time.Duration) (token, hash string) {
	now := t.now()
	claims, _ := json.Marshal(tokenClaims{Account: account, Audience: audience, Issued: now.Unix(), Expires: now.Add(life).Unix(), ID: uuid.NewString()})
	signed := tokenHeader + "." + base64.RawURLEncoding.EncodeToString(claims)
	token = signed + "." + t.sign(signed)
	return token, hashToken(token)
}

func (t tokens) sign(signed string) string {
	m := hmac.New(sha256.New, t.key)
	m.Write([]byte(signed))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// verify returns the account that a token was made for.
func (t tokens) verify(token string) (account string, refusal *events.Error) {
	last := strings.LastIndexByte(token, '.')
	if len(token) > maxToken || last < 0 {
		return "", events.Errorf(events.CodeTokenInvalid, "this is no token of an account")
	}
	signed, signature := token[:last], token[last+1:]
	header, payload, ok := strings.Cut(signed, ".")
	if !ok || header != tokenHeader {
		return "", events.Errorf(events.CodeTokenInvalid, "this is no token of an account")
	}
	if !hmac.Equal([]byte(signature), []byte(t.sign(signed))) {
		return "", events.Errorf(events.CodeTokenSignature, "the token was not signed for accounts of this server")
	}
	var c tokenClaims
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || json.Unmarshal(raw, &c) != nil || c.Audience != audience || c.Account == "" {
		return "", events.Errorf(events.CodeTokenClaims, "the token is not for an account")
	}
	if c.Expires <= t.now().Unix() {
		return "", events.Errorf(events.CodeTokenExpired, "the token has expired: connect again")
	}
	return c.Account, nil
}

// hashToken is how a token is kept.
func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
