package rawws

import (
	"context"
	"fmt"

	"github.com/roomcast/roomcast/events"
)

// Accounts are those of the dialect action. Errors that are an [*events.Error]
// are for the client.
type Accounts interface {
	// Register makes an account and returns its token.
	Register(ctx context.Context, address string, r Registration) (token string, err error)
	// Connect returns a new token for the account of a checksum.
	Connect(ctx context.Context, address, checksum string) (token string, err error)
	// Disconnect ends a token.
	Disconnect(ctx context.Context, address, token string) error
}

// Registration is what an account is made of.
type Registration struct {
	APIKey, Checksum, Name, Prompt string
}

// Decisions are made by accounts.
type Decisions interface {
	// Decide has the account of a token answer a message. What is wrong with the
	// request is returned; else done is called once, from another goroutine,
	// unless ctx ends before.
	Decide(ctx context.Context, address, token, message string, done func(answer string, err error)) error
}

// ActionOptions configure the dialect action.
type ActionOptions struct {
	Accounts  Accounts
	Decisions Decisions
	// Silent leaves unknown actions without an answer.
	Silent bool
}

// NewAction returns the dialect action. Its clients have no session: all they
// can do is to register, connect, decide and disconnect.
func NewAction(opts ActionOptions) Dialect {
	return Dialect{Name: Action, Auth: AuthNever, Speak: func(c *Conn) Speaker { return &action{conn: c, opts: opts} }}
}

// action speaks the dialect action: {"action", …} from the client, {"status",
// "route", …} to it.
type action struct {
	conn *Conn
	opts ActionOptions
}

// actionReply is what the server says. There are clients that take any text in
// "token" or "data" for their token, whatever the frame is about and whatever
// its status: so only what gives a token, or takes it away, has them.
type actionReply struct {
	Status  string  `json:"status"`
	Route   string  `json:"route"`
	Message string  `json:"message,omitempty"`
	Token   *string `json:"token,omitempty"`
	Data    *string `json:"data,omitempty"` // the same as Token
}

func actionToken(route, token string) actionReply {
	return actionReply{Status: "success", Route: route, Token: &token, Data: &token}
}

func actionError(route, message string) actionReply {
	return actionReply{Status: "error", Route: route, Message: message}
}

// Texts of errors, as clients know them.
const (
	textDecode  = "Error while decoding JSON message"
	textMissing = "Missing required fields in the JSON message"
	textNoToken = "No token in request body"
	textUnknown = "Unknown Action"
)

// The routes of replies. What is about a token has that of Connection.
const (
	routeRoot       = "root" // what is about no action
	routeRegister   = "Register"
	routeConnection = "Connection"
	routeDecision   = "MakeDecision"
	routeDisconnect = "Disconnect"
)

// actionRoutes are the actions there are, each with the route of its replies and
// the fields it needs.
var actionRoutes = map[string]struct {
	route  string
	token  bool
	fields []string
}{
	"Register":     {routeRegister, false, []string{"API_KEY", "checksum", "name", "prompt"}},
	"Connection":   {routeConnection, false, []string{"checksum"}},
	"Connect":      {routeConnection, false, []string{"checksum"}},
	"TakeDecision": {routeDecision, true, []string{"message"}},
	"MakeDecision": {routeDecision, true, []string{"message"}},
	"Disconnect":   {routeDisconnect, true, nil},
}

// An actionRequest is a frame that can be handled.
type actionRequest struct {
	route, token string
	fields       map[string]string
}

// shownAction is how many characters of an unknown action are repeated.
const shownAction = 64

// readAction reads a frame, or says what is wrong with it.
func readAction(f frame) (r actionRequest, refusal *actionReply) {
	refuse := func(route, message string) (actionRequest, *actionReply) {
		reply := actionError(route, message)
		return actionRequest{}, &reply
	}
	known, ok := actionRoutes[f.action]
	switch {
	case f.fields == nil:
		return refuse(routeRoot, textDecode)
	case f.action == "":
		return refuse(routeRoot, textMissing)
	case !ok:
		name := []rune(f.action)
		return refuse(string(name[:min(len(name), shownAction)]), textUnknown)
	}
	r = actionRequest{route: known.route, fields: make(map[string]string)}
	if known.token {
		if r.token, _ = f.text("token"); r.token == "" {
			return refuse(routeConnection, textNoToken)
		}
	}
	for _, name := range known.fields {
		if r.fields[name], _ = f.text(name); r.fields[name] == "" {
			return refuse(known.route, textMissing)
		}
	}
	return r, nil
}

// Receive implements [Speaker].
func (a *action) Receive(ctx context.Context, f frame) {
	r, refusal := readAction(f)
	if refusal != nil {
		if refusal.Message != textUnknown || !a.opts.Silent {
			a.conn.SendJSON(*refusal)
		}
		return
	}
	address := a.conn.address
	switch r.route {
	case routeRegister:
		token, err := a.opts.Accounts.Register(ctx, address, Registration{
			APIKey: r.fields["API_KEY"], Checksum: r.fields["checksum"], Name: r.fields["name"], Prompt: r.fields["prompt"],
		})
		a.reply(actionToken(r.route, token), err)
	case routeConnection:
		token, err := a.opts.Accounts.Connect(ctx, address, r.fields["checksum"])
		a.reply(actionToken(r.route, token), err)
	case routeDisconnect:
		none := actionToken(r.route, "") // so that nobody goes on with the token
		none.Message = "Disconnected"
		a.reply(none, a.opts.Accounts.Disconnect(ctx, address, r.token))
	case routeDecision:
		// An answer takes long, and there may be other accounts on the connection.
		err := a.opts.Decisions.Decide(ctx, address, r.token, r.fields["message"], func(answer string, err error) {
			a.reply(actionReply{Status: "success", Route: r.route, Message: answer}, err)
		})
		if err != nil {
			a.reply(actionReply{Route: r.route}, err)
		}
	}
}

// reply sends a reply, or the error instead.
func (a *action) reply(r actionReply, err error) {
	if err != nil {
		r = actionFailure(r.Route, err)
	}
	a.conn.SendJSON(r)
}

// actionFailure puts an error into the words of the dialect. What those have no
// words for is told as it is.
func actionFailure(route string, err error) actionReply {
	e, _ := events.Public(err)
	switch {
	case e.Code == events.CodeTooManyFailures:
		return actionError(route, fmt.Sprintf("%s (%d s)", e.Message, e.RetryAfter))
	case e.Code == events.CodeValidation, e.Code == events.CodeRateLimited:
		return actionError(route, e.Message)
	case e.Code == events.CodeInvalidAPIKey:
		return actionError(route, "Invalid API Key")
	case e.Code == events.CodeCredentialRevoked:
		return actionError(routeConnection, "Invalid Token")
	case isAuth(e.Code):
		return actionError(routeConnection, "Error while verifying JWT")
	}
	return actionError(route, map[string]string{
		routeRegister:   "Error saving in database", // the checksum of another account, too
		routeConnection: connectionFailure(e.Code),
		routeDecision:   "Error while calling MakeDecision service",
		routeDisconnect: "Failed to disconnect",
	}[route])
}

func connectionFailure(code events.Code) string {
	if code == events.CodeNotFound {
		return "Account doesn't exist"
	}
	return "Error generating token"
}

// Refuse implements [Speaker].
func (a *action) Refuse(f frame, e *events.Error) {
	if f.raw != nil && f.fields == nil && e.Code != events.CodeRateLimited { // what was dropped was not looked at
		a.conn.SendJSON(actionError(routeRoot, textDecode))
		return
	}
	route := routeRoot
	if known, ok := actionRoutes[f.action]; ok {
		route = known.route
	}
	a.conn.SendJSON(actionError(route, e.Message))
}

// Entered implements [Speaker]. Nobody enters: see [AuthNever].
func (a *action) Entered(context.Context) {}

// Hear implements [Speaker]. There is no session to say something to.
func (a *action) Hear(Notice) {}

// Left implements [Speaker].
func (a *action) Left() {}
