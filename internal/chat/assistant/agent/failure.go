package agent

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/chat/provider"
)

// words tell people of a failure. Nothing of what a provider sent is in them.
func words(e *provider.Error) string {
	said := "I could not answer: " + strings.TrimRight(e.Text, ".") + "."
	switch {
	case e.RetryAfter > 0:
		return said + fmt.Sprintf(" Please try again in %v.", upToSeconds(e.RetryAfter))
	case e.Kind == provider.Unavailable, e.Kind == provider.RateLimited, e.Kind == provider.Timeout, e.Kind == provider.Malformed:
		return said + " Please try again."
	case e.Kind == provider.Auth:
		return said + " Those who operate this server must see to that."
	}
	return said
}

func upToSeconds(d time.Duration) time.Duration {
	return time.Duration(math.Ceil(d.Seconds())) * time.Second
}
