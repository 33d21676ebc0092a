package rawws

import (
	"net/http"
	"slices"
	"strings"

	"github.com/roomcast/roomcast/events"
)

// Name is the name of a dialect.
type Name string

// The dialects.
const (
	Genesis Name = "genesis"
	Action  Name = "action"
	Bots    Name = "bots"
	Service Name = "service"
	Meet    Name = "meet" // by its path only
)

// chosen is which dialect a connection speaks, and why.
type chosen struct {
	dialect Name // "" is not known yet
	by      string
	// provisional is set if the first frame may say otherwise.
	provisional bool
}

// The paths there are, with the dialect that is spoken there, "" if any is.
var paths = map[string]Name{
	"/ws": "", "/ws/genesis": Genesis, "/ws/action": Action, "/ws/bots": Bots, "/ws/service": Service, "/api/ws": Service, "/ws/meet": Meet,
}

// meetingPath is followed by the name of a meeting.
const meetingPath = "/ws/meet/"

// meetingOf returns the meeting that a path names, "" if it names none.
func meetingOf(path string) string {
	meeting, _ := strings.CutPrefix(path, meetingPath)
	if meeting == path {
		return ""
	}
	return meeting
}

// byPath returns the dialect that a path names, and whether there is such a
// path.
func byPath(path string) (n Name, ok bool) {
	if meetingOf(path) != "" {
		return Meet, true
	}
	n, ok = paths[strings.TrimSuffix(path, "/")]
	return n, ok
}

// byRequest chooses by what the handshake says. protocol is the subprotocol to
// answer with.
func (s *Server) byRequest(r *http.Request) (c chosen, protocol string, err *events.Error) {
	offered := s.offered(r)
	if len(offered) > 0 {
		c = chosen{dialect: offered[0], by: "subprotocol"}
	}
	query := r.URL.Query()
	switch named, ok := byPath(r.URL.Path); {
	case !ok:
		return c, "", events.Errorf(events.CodeNotFound, "there is nothing at %.64q: connect to /ws, or to /ws/ and a dialect: %s", r.URL.Path, s.spoken())
	case named != "":
		c = chosen{dialect: named, by: "path"}
	case c.dialect != "":
	case query.Has("dialect"):
		if c = (chosen{dialect: Name(query.Get("dialect")), by: "query"}); c.dialect == Meet || s.dialects[c.dialect].Speak == nil {
			return c, "", events.FieldErrorf("dialect", "%q is not a dialect that is spoken here: %s", c.dialect, s.spoken())
		}
	default:
		c = byHint(r)
	}
	if c.dialect != "" && s.dialects[c.dialect].Speak == nil {
		if !c.provisional {
			return c, "", events.Errorf(events.CodeNotFound, "the dialect %s is not spoken here: %s", c.dialect, s.spoken())
		}
		c = chosen{}
	}
	if slices.Contains(offered, c.dialect) {
		protocol = string(c.dialect) + subprotocol
	}
	return c, protocol, nil
}

// subprotocol follows the name of a dialect in what clients offer.
const subprotocol = ".v1"

// offered returns the dialects that a client offers as subprotocols, as far as
// they are spoken.
func (s *Server) offered(r *http.Request) (list []Name) {
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(line, ",") {
			if name, ok := strings.CutSuffix(strings.TrimSpace(p), subprotocol); ok && s.dialects[Name(name)].Speak != nil && Name(name) != Meet {
				list = append(list, Name(name))
			}
		}
	}
	return list
}

// byHint guesses by what only the clients of one dialect are documented to
// send.
func byHint(r *http.Request) chosen {
	query := r.URL.Query()
	hint := func(n Name) chosen { return chosen{dialect: n, by: "hint", provisional: true} }
	switch {
	case r.Header.Get("X-Agent-ID") != "":
		return hint(Genesis)
	case r.Header.Get("Authorization") != "" && !query.Has("token"):
		return hint(Genesis)
	case query.Has("org_id"):
		return hint(Service)
	case query.Has("session_id"), query.Has("bot_name"):
		return hint(Bots)
	}
	return chosen{}
}

// spoken lists the dialects for people.
func (s *Server) spoken() string {
	var names []string
	for name := range s.dialects {
		if name != Meet {
			names = append(names, string(name))
		}
	}
	if len(names) == 0 {
		return "none is"
	}
	slices.Sort(names)
	return "choose from " + strings.Join(names, ", ")
}

// verdict is what the shape of a frame says about who sent it.
type verdict int

const (
	unknown       verdict = iota // nothing
	notObject                    // it is not even JSON, or not an object
	genesisPing                  // answered in its own shape, and says nothing about the rest
	servicePing                  // likewise
	barePing                     // likewise, alone or with a text as timestamp, in a shape that both others can read
	meetElsewhere                // somebody who meant another path
	isGenesis
	isAction
	isBots
	isService
)

// dialect is what a verdict decides, "" if nothing.
func (v verdict) dialect() Name {
	switch v {
	case isGenesis:
		return Genesis
	case isAction:
		return Action
	case isBots:
		return Bots
	case isService:
		return Service
	}
	return ""
}

// judge applies the table of first frames, in its order: pings first, and frames
// that have both discriminators.
func judge(f frame) verdict {
	if f.fields == nil {
		return notObject
	}
	switch {
	case f.kind == "ping" && f.data != nil:
		return servicePing
	case f.kind == "ping" && f.number("timestamp"):
		return genesisPing
	case f.kind == "ping" && (len(f.fields) == 1 || begins(f.fields["timestamp"], '"')):
		return barePing
	case f.action != "" && (!f.has("type") || actionRoutes[f.action].route != "" && !types[f.kind]):
		return isAction
	case f.kind == "auth" && (begins(f.fields["token"], '"') || begins(f.payload["token"], '"')):
		return isBots
	case f.has("session_id"), f.payload["session_id"] != nil, f.kind == "message", f.kind == "typing_start", f.kind == "typing_stop":
		return isBots
	case f.kind == "execute_workflow", begins(f.payload["channels"], '['), f.has("correlationId"):
		return isGenesis
	case f.data != nil:
		return isService
	case f.number("timestamp"), f.payload != nil:
		return isGenesis
	case f.kind == "join", f.kind == "leave", f.kind == "signal":
		return meetElsewhere
	}
	return unknown
}

// types are those that the other dialects know.
var types = map[string]bool{
	"subscribe": true, "unsubscribe": true, "execute_workflow": true, "ping": true, "auth": true, "message": true,
	"typing_start": true, "typing_stop": true, "chat_message": true, "join": true, "leave": true, "signal": true,
}
