// Package asyncapi holds the contract between the server and its clients: the
// AsyncAPI documents, and what makes them more than documents. They are
// served as they are, and validate what comes in and what goes out.
package asyncapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"
)

//go:embed socket-events.yaml
var socketEvents []byte

// SocketEventsYAML returns the document of the Socket.IO protocol.
func SocketEventsYAML() []byte { return socketEvents }

// A Document is a parsed AsyncAPI document. It does not change, and its methods
// may be called concurrently.
type Document struct {
	root     map[string]any
	messages []Message
	rules    func() (map[route]*rule, error) // compiles them when they are first asked for
}

// A Message is one event as the document describes it.
type Message struct {
	Namespace string
	Name      string
	// Inbound messages are emitted by clients, the others by the server.
	Inbound bool
	// Optional tells that a client may leave the payload out.
	Optional bool
	// AckFor is set on a message that is no event but the acknowledgement of
	// the event it names.
	AckFor string
	// Examples are payloads of this message, as JSON.
	Examples []json.RawMessage

	schema string // JSON pointer to the payload's schema
	ack    string // JSON pointer to the schema of the acknowledgement, or ""
}

// SocketEvents returns the document of the Socket.IO protocol, which is parsed
// once.
func SocketEvents() (*Document, error) { return parseSocketEvents() }

var parseSocketEvents = sync.OnceValues(func() (*Document, error) { return Parse(socketEvents) })

// Parse reads an AsyncAPI 2.6 document whose channels are namespaces.
func Parse(source []byte) (*Document, error) {
	d := &Document{}
	d.rules = sync.OnceValues(d.compile)
	if err := yaml.Unmarshal(source, &d.root); err != nil {
		return nil, fmt.Errorf("parsing AsyncAPI document: %w", err)
	}
	channels, _ := d.root["channels"].(map[string]any)
	for namespace := range channels {
		for operation, inbound := range map[string]bool{"publish": true, "subscribe": false} {
			base := "/channels/" + escape(namespace) + "/" + operation + "/message/oneOf"
			list, _ := d.at(base).([]any)
			for i := range list {
				m, err := d.message(fmt.Sprintf("%s/%d", base, i))
				if err != nil {
					return nil, err
				}
				m.Namespace, m.Inbound = namespace, inbound
				d.messages = append(d.messages, m)
			}
		}
	}
	return d, nil
}

// Messages returns all messages of the document.
func (d *Document) Messages() []Message { return d.messages }

// JSON returns the document as JSON.
func (d *Document) JSON() ([]byte, error) { return json.Marshal(d.root) }

func (d *Document) message(at string) (Message, error) {
	at = d.follow(at)
	node, ok := d.at(at).(map[string]any)
	if !ok {
		return Message{}, fmt.Errorf("AsyncAPI document: no message at %s", at)
	}
	m := Message{schema: at + "/payload"}
	m.Name, _ = node["name"].(string)
	m.AckFor, _ = node["x-ack-for"].(string)
	m.Optional, _ = node["x-optional-payload"].(bool)
	if _, ok := d.at(at + "/x-ack/args/items/0").(map[string]any); ok {
		m.ack = at + "/x-ack/args/items/0"
	}
	examples, _ := node["examples"].([]any)
	for _, e := range examples {
		example, _ := e.(map[string]any)
		raw, err := json.Marshal(example["payload"])
		if err != nil {
			return Message{}, fmt.Errorf("AsyncAPI document: example of %s: %w", m.Name, err)
		}
		m.Examples = append(m.Examples, raw)
	}
	return m, nil
}

// follow resolves $ref until it reaches something else.
func (d *Document) follow(at string) string {
	for {
		node, ok := d.at(at).(map[string]any)
		if !ok {
			return at
		}
		ref, ok := node["$ref"].(string)
		if !ok {
			return at
		}
		at = strings.TrimPrefix(ref, "#")
	}
}

// at returns what a JSON pointer points to, or nil.
func (d *Document) at(pointer string) any {
	var node any = d.root
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch n := node.(type) {
		case map[string]any:
			node = n[part]
		case []any:
			var i int
			if _, err := fmt.Sscan(part, &i); err != nil || i >= len(n) {
				return nil
			}
			node = n[i]
		default:
			return nil
		}
	}
	return node
}

func escape(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
}

// Schema returns the schema of a message's payload with its references
// resolved one level: for tests that compare it with Go types.
func (d *Document) Schema(m Message) map[string]any {
	schema, _ := d.at(d.follow(m.schema)).(map[string]any)
	return schema
}

// numbered reports whether a message has an offset: those that are published to
// rooms do.
func (d *Document) numbered(m Message) bool {
	properties, _ := d.Schema(m)["properties"].(map[string]any)
	return properties["offset"] != nil
}

// AckSchema is [Document.Schema] for the acknowledgement of a message.
func (d *Document) AckSchema(m Message) map[string]any {
	if m.ack == "" {
		return nil
	}
	schema, _ := d.at(d.follow(m.ack)).(map[string]any)
	return schema
}

// Resolve follows the reference in a schema, if it is one.
func (d *Document) Resolve(schema map[string]any) map[string]any {
	ref, ok := schema["$ref"].(string)
	if !ok {
		return schema
	}
	resolved, _ := d.at(d.follow(strings.TrimPrefix(ref, "#"))).(map[string]any)
	return resolved
}
