package outbound

import (
	"errors"
	"net/http"
	"strings"
)

// connection are the headers of a connection rather than of a request: who
// could set them could make a server see two requests where there is one.
var connection = map[string]bool{
	"Connection": true, "Content-Length": true, "Host": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

// CheckHeader reports why nobody may set a header.
func CheckHeader(name string) error {
	switch {
	case !token(name):
		return errors.New("is not the name of a header")
	case connection[http.CanonicalHeaderKey(name)]:
		return errors.New("is set by the server itself and cannot be set here")
	}
	return nil
}

// token reports whether a text is one in the sense of RFC 9110, section 5.6.2.
func token(s string) bool {
	for _, c := range []byte(s) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}
