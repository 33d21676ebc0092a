package external

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// An Event is what a reporter says has happened. Which fields it has depends on
// its type.
type Event struct {
	// Sequence is the reporter's number, from 1 in each run, without gaps.
	Sequence uint64    `json:"sequence"`
	Type     EventType `json:"type"`

	NodeID              string                   `json:"nodeID"`
	NodeType            string                   `json:"nodeType"`
	Status              string                   `json:"status"`
	Output              json.RawMessage          `json:"output"`
	OutputVariable      string                   `json:"outputVariable"`
	Error               string                   `json:"error"`
	CollectionRequestID string                   `json:"collectionRequestID"`
	CollectionConfig    *events.CollectionConfig `json:"collectionConfig"`
	Key                 string                   `json:"key"`
	Value               json.RawMessage          `json:"value"`
}

// EventType says what an event is about.
type EventType string

// The types of events.
const (
	NodeUpdate            EventType = "node_update"
	DataCollectionRequest EventType = "data_collection_request"
	ContextSet            EventType = "context_set"
	StatusUpdate          EventType = "status_update"
)

// fields are those of each type, besides sequence and type.
var fields = map[EventType]string{
	NodeUpdate:            "nodeID nodeType status output outputVariable error",
	DataCollectionRequest: "nodeID nodeType collectionRequestID collectionConfig",
	ContextSet:            "key value",
	StatusUpdate:          "status output error",
}

// given returns the fields that an event has, besides sequence and type.
func (ev Event) given() (names []string) {
	for name, has := range map[string]bool{
		"nodeID": ev.NodeID != "", "nodeType": ev.NodeType != "", "status": ev.Status != "", "output": ev.Output != nil,
		"outputVariable": ev.OutputVariable != "", "error": ev.Error != "", "collectionRequestID": ev.CollectionRequestID != "",
		"collectionConfig": ev.CollectionConfig != nil, "key": ev.Key != "", "value": ev.Value != nil,
	} {
		if has {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

const dataCollection = "dataCollection"

// entry returns the entry that an event becomes in a run, without its number in
// the log. Its errors name a field of the event.
func (e *Engine) entry(runID string, ev Event) (interpreter.Entry, error) {
	known, ok := fields[ev.Type]
	if !ok {
		return interpreter.Entry{}, events.FieldErrorf("type", "%q is not one of node_update, data_collection_request, context_set, status_update", ev.Type)
	}
	for _, name := range ev.given() {
		if !strings.Contains(" "+known+" ", " "+name+" ") {
			return interpreter.Entry{}, events.FieldErrorf(name, "is not a field of %s", ev.Type)
		}
	}
	typ, data, payload, err := e.shape(runID, &ev)
	if err == nil && payload != nil {
		err = e.check(payload)
	}
	if err != nil {
		return interpreter.Entry{}, err
	}
	entry, err := interpreter.NewEntry(typ, ev.NodeID, "", data)
	if s, ok := data.(interpreter.Suspension); ok {
		entry.Request = s.RequestID
	}
	if err != nil {
		return entry, fmt.Errorf("encoding entry: %w", err)
	}
	return reported(entry, ev.Sequence), nil
}

// check holds what clients would get against the contract.
func (e *Engine) check(p events.Payload) error {
	raw, err := events.Encode(p)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", p.EventName(), err)
	}
	return e.opts.Check(p.EventName(), raw)
}

// shape returns what an event becomes: an entry of a type with data, and what
// clients get, nil if nothing. It fills in what the event left out.
func (e *Engine) shape(runID string, ev *Event) (interpreter.EntryType, any, events.Payload, error) {
	switch ev.Type {
	case NodeUpdate:
		return e.nodeUpdate(runID, ev)
	case DataCollectionRequest:
		return e.request(runID, ev)
	case StatusUpdate:
		return e.status(runID, ev)
	}
	return e.assignment(ev)
}

func (e *Engine) nodeUpdate(runID string, ev *Event) (interpreter.EntryType, any, events.Payload, error) {
	if err := errors.Join(ev.checkNode(), variable("outputVariable", ev.OutputVariable), e.small("output", ev.Output)); err != nil {
		return "", nil, nil, err
	}
	if ev.Output == nil {
		ev.Output = json.RawMessage("null")
	}
	p := events.WorkflowNodeUpdate{
		InstanceID: runID, NodeID: ev.NodeID, Status: events.NodeStatus(ev.Status), Output: events.JSON(ev.Output), Error: ev.Error,
	}
	switch p.Status {
	case events.NodeSuccess:
		if ev.Error != "" {
			return "", nil, nil, events.FieldErrorf("error", "belongs to a node that failed")
		}
		return interpreter.NodeCompleted, interpreter.Completion{Output: ev.Output, Variable: ev.OutputVariable, NodeType: ev.NodeType}, p, nil
	case events.NodeFailed:
		return interpreter.NodeFailed, interpreter.Failure{Error: ev.Error, Output: ev.Output, Variable: ev.OutputVariable, NodeType: ev.NodeType}, p, nil
	}
	return "", nil, nil, events.FieldErrorf("status", "%q is not one of success, failed", ev.Status)
}

// requestSpace is what the ids of requests are derived in that have none.
var requestSpace = uuid.MustParse("0d0c7f5b-6d5d-5a53-8d3f-0f4a5f6b6c11")

func (e *Engine) request(runID string, ev *Event) (interpreter.EntryType, any, events.Payload, error) {
	if err := ev.checkNode(); err != nil {
		return "", nil, nil, err
	}
	if ev.CollectionConfig == nil {
		return "", nil, nil, events.FieldErrorf("collectionConfig", "is missing")
	}
	c := *ev.CollectionConfig
	if err := e.checkConfig(&c); err != nil {
		return "", nil, nil, err
	}
	switch id := ev.CollectionRequestID; {
	case id == "":
		ev.CollectionRequestID = uuid.NewSHA1(requestSpace, fmt.Appendf(nil, "%s\x00%d", runID, ev.Sequence)).String()
	case !isUUID(id):
		return "", nil, nil, events.FieldErrorf("collectionRequestID", "is not a UUID in small letters")
	}
	if ev.NodeType == "" {
		ev.NodeType = dataCollection
	}
	s := interpreter.Suspension{RequestID: ev.CollectionRequestID, Config: &c, NodeType: ev.NodeType}
	return interpreter.NodeSuspended, s, events.WorkflowDataCollectionRequest{
		InstanceID: runID, NodeID: ev.NodeID, CollectionRequestID: s.RequestID, CollectionType: c.CollectionType, CollectionConfig: c,
	}, nil
}

// checkConfig fills in what a form leaves out.
func (e *Engine) checkConfig(c *events.CollectionConfig) error {
	if c.CollectionType == "" {
		c.CollectionType = "form"
	}
	if c.OutputVariable == "" {
		c.OutputVariable = nodes.DefaultVariable(dataCollection)
	}
	if err := variable("collectionConfig.outputVariable", c.OutputVariable); err != nil {
		return err
	}
	if err := e.small("collectionConfig", append(append(json.RawMessage{}, c.FormSchema...), c.FormUISchema...)); err != nil {
		return err
	}
	var schema any
	json.Unmarshal(c.FormSchema, &schema) // nil if there is none
	if err := nodes.CheckInput(schema, nil); err != nil && !errors.As(err, new(*nodes.InputError)) {
		return events.FieldErrorf("collectionConfig.formSchema", "%v", err)
	}
	return nil
}

func (e *Engine) assignment(ev *Event) (interpreter.EntryType, any, events.Payload, error) {
	switch {
	case ev.Key == "":
		return "", nil, nil, events.FieldErrorf("key", "is missing")
	case ev.Value == nil:
		return "", nil, nil, events.FieldErrorf("value", "is missing")
	}
	err := errors.Join(variable("key", ev.Key), e.small("value", ev.Value))
	return interpreter.SystemSet, interpreter.Assignment{Key: ev.Key, Value: ev.Value}, nil, err
}

func (e *Engine) status(runID string, ev *Event) (interpreter.EntryType, any, events.Payload, error) {
	end := interpreter.Ending{Status: events.RunStatus(ev.Status), Error: ev.Error, Output: ev.Output}
	switch end.Status {
	case events.RunCompleted, events.RunFailed, events.RunCancelled, events.RunStopped:
	default:
		return "", nil, nil, events.FieldErrorf("status", "%q is not one of COMPLETED, FAILED, CANCELLED, STOPPED", ev.Status)
	}
	if end.Status == events.RunCompleted && ev.Error != "" {
		return "", nil, nil, events.FieldErrorf("error", "belongs to a run that is not COMPLETED")
	}
	return interpreter.RunEnded, end, events.WorkflowStatusUpdate{
		InstanceID: runID, Status: end.Status, ContextData: events.JSON("{}"), Output: events.JSON(ev.Output), Error: ev.Error,
	}, e.small("output", ev.Output)
}

// maxName bounds names, in bytes.
const maxName = 256

func (ev Event) checkNode() error {
	switch {
	case ev.NodeID == "":
		return events.FieldErrorf("nodeID", "is missing")
	case !printable(ev.NodeID):
		return events.FieldErrorf("nodeID", "is not 1 to %d bytes of printable characters", maxName)
	case !printable(ev.NodeType):
		return events.FieldErrorf("nodeType", "is not up to %d bytes of printable characters", maxName)
	}
	return nil
}

// variable reports what is wrong with the name of a variable.
func variable(field, name string) error {
	switch {
	case strings.HasPrefix(name, "__"):
		return events.FieldErrorf(field, "begins with __, as only the server's own variables do")
	case !printable(name):
		return events.FieldErrorf(field, "is not up to %d bytes of printable characters", maxName)
	}
	return nil
}

func printable(s string) bool {
	return len(s) <= maxName && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar })
}

// small reports whether a value is too large.
func (e *Engine) small(field string, value json.RawMessage) error {
	if limit := e.opts.MaxResult; limit > 0 && len(value) > limit {
		return events.FieldErrorf(field, "has %d bytes, more than workflow.maxResult, which is %d", len(value), limit)
	}
	return nil
}

// isUUID reports whether a text is a UUID as it is usually written.
func isUUID(s string) bool {
	id, err := uuid.Parse(s)
	return err == nil && id.String() == s
}
