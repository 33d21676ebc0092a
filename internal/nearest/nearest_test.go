package nearest

import (
	"strings"
	"testing"
)

func TestTo(t *testing.T) {
	names := []string{"server.addr", "server.data", "socket.path"}
	for _, tt := range []struct {
		name string
		max  int
		want string
	}{
		{"server.adr", 3, "server.addr"},
		{"SERVER.DATE", 3, "server.data"},
		{"socket.path", 0, "socket.path"},
		{"something else", 3, ""},
		{strings.Repeat("x", 1000), 200, ""},
	} {
		if got := To(tt.name, names, tt.max); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
