package meet

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// Turn is what participants use who cannot reach each other directly.
type Turn struct {
	// URLs are stun:, turn: and turns: addresses.
	URLs []string
	// Secret is known to the TURN servers.
	Secret string
	// TTL is how long credentials are good. Default one hour.
	TTL time.Duration
}

// An ICEServer is one as browsers take it.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// Servers returns the servers with credentials for a user, as the TURN servers'
// REST convention has it: the username is the time at which they end, in
// seconds since 1970, with the user; the credential is signed with the secret.
// STUN servers, which want none, come first.
func (t Turn) Servers(user string, now time.Time) []ICEServer {
	servers := []ICEServer{}
	var stun, turn []string
	for _, address := range t.URLs {
		if strings.HasPrefix(address, "stun") {
			stun = append(stun, address)
		} else {
			turn = append(turn, address)
		}
	}
	if len(stun) > 0 {
		servers = append(servers, ICEServer{URLs: stun})
	}
	if len(turn) == 0 {
		return servers
	}
	ttl := t.TTL
	if ttl <= 0 {
		ttl = time.Hour
	}
	username := strconv.FormatInt(now.Add(ttl).Unix(), 10) + ":" + user
	mac := hmac.New(sha1.New, []byte(t.Secret))
	mac.Write([]byte(username))
	return append(servers, ICEServer{turn, username, base64.StdEncoding.EncodeToString(mac.Sum(nil))})
}
