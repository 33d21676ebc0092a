package events

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// An Address is what the name of a room says that is of no row: whose it is, and
// what it is about.
type Address struct {
	Kind   string // user, entity or agent
	Tenant string
	Type   string // of an entity, else ""
	ID     string // of the user, the entity or the agent
}

// ParseAddress takes the name of such a room apart, and reports whether it is
// one. Each room has one name only.
func ParseAddress(room Room) (a Address, ok bool) {
	kind, rest, _ := strings.Cut(string(room), ":")
	parts := strings.Split(rest, ":")
	for i := range parts {
		parts[i] = unescape.Replace(parts[i])
	}
	a = Address{Kind: kind, Tenant: parts[0], ID: parts[len(parts)-1]}
	switch {
	case len(parts) == 2 && kind == "user":
		ok = room == UserRoom(a.Tenant, a.ID)
	case len(parts) == 2 && kind == "agent":
		ok = room == AgentRoom(a.Tenant, a.ID)
	case len(parts) == 3 && kind == "entity":
		a.Type = parts[1]
		ok = room == EntityRoom(a.Tenant, a.Type, a.ID) && named(a.Type)
	}
	return a, ok && a.Tenant != "" && named(a.ID)
}

// named reports whether a text is 1 to 128 printable characters.
func named(s string) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= 128 &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// A part of a name may have what separates the parts.
var (
	escape   = strings.NewReplacer("%", "%25", ":", "%3A")
	unescape = strings.NewReplacer("%25", "%", "%3A", ":")
)
