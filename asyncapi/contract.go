package asyncapi

import (
	"bytes"
	"fmt"
	"log/slog"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/roomcast/roomcast/events"
)

// Mode says what happens to a message that breaks the contract.
type Mode string

// The modes.
const (
	Off     Mode = "off"     // nothing is checked
	Report  Mode = "report"  // it is logged and passes
	Enforce Mode = "enforce" // it is refused, or not sent
)

// A Contract validates messages against a document. Its methods may be called
// concurrently.
type Contract struct {
	mode   Mode
	logger *slog.Logger
	rules  map[route]*rule
}

type route struct {
	namespace, event string
	inbound          bool
}

type rule struct {
	payload, ack *shape
	optional     bool
	published    bool // it may be published to a room
}

// NewContract returns the contract that a document is. Its schemas are compiled
// once, however many there are.
func NewContract(d *Document, mode Mode, logger *slog.Logger) (*Contract, error) {
	switch mode {
	case Off, Report, Enforce:
	default:
		return nil, fmt.Errorf("contract mode %q is not one of off, report, enforce", mode)
	}
	rules, err := d.rules()
	if err != nil {
		return nil, err
	}
	return &Contract{mode: mode, logger: logger, rules: rules}, nil
}

// compile makes rules of the schemas.
func (d *Document) compile() (map[route]*rule, error) {
	const location = "roomcast:socket-events"
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	compiler.AssertFormat()
	raw, err := d.JSON()
	if err != nil {
		return nil, err
	}
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	if err := compiler.AddResource(location, root); err != nil {
		return nil, err
	}
	rules := make(map[route]*rule)
	for _, m := range d.Messages() {
		r := &rule{optional: m.Optional, published: !m.Inbound && m.AckFor == "" && d.numbered(m)}
		if r.payload, err = compile(compiler, location+"#"+m.schema); err != nil {
			return nil, fmt.Errorf("schema of %s: %w", m.Name, err)
		}
		if m.ack != "" {
			if r.ack, err = compile(compiler, location+"#"+m.ack); err != nil {
				return nil, fmt.Errorf("acknowledgement of %s: %w", m.Name, err)
			}
		}
		rules[route{m.Namespace, m.Name, m.Inbound}] = r
	}
	return rules, nil
}

// Inbound checks what a client emitted; nil is an argument left out. The
// error, an *events.Error, is for the client.
func (c *Contract) Inbound(namespace, event string, arg []byte) error {
	if c.mode == Off {
		return nil
	}
	r := c.rules[route{namespace, event, true}]
	switch {
	case r == nil:
		return nil // the router refuses unknown events
	case arg == nil && r.optional:
		return nil
	case arg == nil:
		return c.broken(namespace, event, events.FieldErrorf("payload", "is missing"))
	}
	if err := r.payload.check(arg); err != nil {
		return c.broken(namespace, event, err)
	}
	return nil
}

// Ack checks the acknowledgement of an inbound event before it is sent.
func (c *Contract) Ack(namespace, event string, reply []byte) error {
	if c.mode == Off {
		return nil
	}
	r := c.rules[route{namespace, event, true}]
	if r == nil || r.ack == nil {
		return nil
	}
	if err := r.ack.check(reply); err != nil {
		return c.broken(namespace, event+" (ack)", fmt.Errorf("the acknowledgement breaks the contract: %w", err))
	}
	return nil
}

// Outbound checks what the server is about to emit.
func (c *Contract) Outbound(namespace, event string, payload []byte) error {
	if c.mode == Off {
		return nil
	}
	r := c.rules[route{namespace, event, false}]
	if r == nil {
		return c.broken(namespace, event, events.Errorf(events.CodeInvalidRequest, "event %q is not in the contract of %s", event, namespace))
	}
	if err := r.payload.check(payload); err != nil {
		return c.broken(namespace, event, err)
	}
	return nil
}

// Publication checks what somebody else publishes to a room, whatever the mode.
// Only events with an offset may be; the others are from the server to one
// session. The error, an *events.Error, is for whoever publishes.
func (c *Contract) Publication(namespace, event string, payload []byte) error {
	r := c.rules[route{namespace, event, false}]
	if r == nil || !r.published {
		e := events.Errorf(events.CodeInvalidRequest, "event: %q is not published to rooms of %s: those that are have an offset in the AsyncAPI file", event, namespace)
		e.Field = "event"
		return e
	}
	return r.payload.check(payload)
}

// Emitted reports whether the document has an event that the server emits.
func (c *Contract) Emitted(namespace, event string) bool {
	return c.rules[route{namespace, event, false}] != nil
}

// broken decides what becomes of a violation.
func (c *Contract) broken(namespace, event string, err error) error {
	if c.mode == Enforce {
		return err
	}
	c.logger.Warn("message breaks the contract", "namespace", namespace, "event", event, "error", err)
	return nil
}
