package config

import (
	"fmt"
	"strings"
	"time"
)

// Meet is meetings at /ws/meet.
type Meet struct {
	// Capacity is how many participants a meeting has at most.
	Capacity int `mapstructure:"capacity" yaml:"capacity"`
	// Anonymous is the tenant whose meetings take in who has no token; "" is
	// none.
	Anonymous string `mapstructure:"anonymous" yaml:"anonymous"`
	Turn      Turn   `mapstructure:"turn" yaml:"turn"`
}

// Turn is the servers by which participants reach each other.
type Turn struct {
	URLs       []string      `mapstructure:"urls" yaml:"urls"`
	Secret     Secret        `mapstructure:"secret" yaml:"secret"`
	SecretFile string        `mapstructure:"secretFile" yaml:"secretFile"`
	TTL        time.Duration `mapstructure:"ttl" yaml:"ttl"`
}

func defaultMeet() Meet {
	return Meet{Capacity: 25, Turn: Turn{URLs: []string{}, TTL: time.Hour}}
}

// readFile reads what the key that ends with File names.
func (c *Meet) readFile() error {
	return readSecrets("websocket.meet.turn.", []secretFile{{"secret", c.Turn.SecretFile, &c.Turn.Secret}})
}

// maxMeetCapacity is where telling everybody who is there becomes too much.
const maxMeetCapacity = 1000

// check reports what is wrong.
func (c Meet) check() (problems []string) {
	add := func(key, format string, args ...any) {
		problems = append(problems, "websocket.meet."+key+": "+fmt.Sprintf(format, args...))
	}
	if c.Capacity < 1 || c.Capacity > maxMeetCapacity {
		add("capacity", "%d is not from 1 to %d", c.Capacity, maxMeetCapacity)
	}
	if c.Turn.TTL < time.Second {
		add("turn.ttl", "%v is less than a second", c.Turn.TTL)
	}
	for _, u := range c.Turn.URLs {
		scheme, _, _ := strings.Cut(u, ":")
		switch scheme {
		case "stun", "stuns":
		case "turn", "turns":
			if c.Turn.Secret == "" {
				add("turn.secret", "is missing: %s takes credentials", u)
			}
		default:
			add("turn.urls", "%q is not an address such as turn:turn.example.com:3478", u)
		}
	}
	return problems
}
