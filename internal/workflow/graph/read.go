package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// file is a workflow as people keep it: the definition under its name or, as
// React Flow saves it, at the top. What else is there is the editor's.
type file struct {
	Title      string      `json:"title"`
	Definition *Definition `json:"definition"`
	Nodes      []Node      `json:"nodes"`
	Edges      []Edge      `json:"edges"`
	Options    *Options    `json:"workflowOptions"`
}

// Read reads a workflow from JSON: a definition, {definition}, or either with
// a title. What is wrong with it is returned as [Problems]; the definition has
// not been checked.
func Read(raw []byte) (title string, d Definition, err error) {
	var f file
	if p := decode(raw, &f); p != nil {
		return "", d, Problems{*p}
	}
	switch top := f.Nodes != nil || f.Edges != nil || f.Options != nil; {
	case f.Definition != nil && top:
		return "", d, Problems{{Field: "definition", Message: "is given twice: leave out nodes, edges and workflowOptions beside it"}}
	case f.Definition != nil:
		return f.Title, *f.Definition, nil
	case f.Nodes == nil:
		return "", d, Problems{{Field: "nodes", Message: "is missing: a workflow is {nodes, edges, workflowOptions}, alone or under definition"}}
	}
	d = Definition{Nodes: f.Nodes, Edges: f.Edges}
	if f.Options != nil {
		d.Options = *f.Options
	}
	return f.Title, d, nil
}

// decode reads one value of JSON and says where it is not what it should be.
func decode(raw []byte, v any) *Problem {
	dec := json.NewDecoder(bytes.NewReader(raw))
	err := dec.Decode(v)
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return &Problem{Field: position(raw, syntax.Offset), Message: "is not JSON: " + syntax.Error()}
	case errors.As(err, &typ) && typ.Field != "":
		return &Problem{Field: typ.Field, Message: fmt.Sprintf("is a JSON %s, at %s", typ.Value, position(raw, typ.Offset))}
	case errors.As(err, &typ):
		return &Problem{Field: position(raw, typ.Offset), Message: fmt.Sprintf("is a JSON %s, not an object", typ.Value)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &Problem{Field: position(raw, int64(len(raw))), Message: "is not JSON: it ends too early"}
	case err != nil:
		return &Problem{Field: position(raw, dec.InputOffset()), Message: err.Error()}
	}
	if rest := bytes.TrimSpace(raw[dec.InputOffset():]); len(rest) > 0 {
		return &Problem{Field: position(raw, int64(len(raw)-len(rest)+1)), Message: "something follows the workflow"}
	}
	return nil
}

// position says where the byte before an offset is.
func position(raw []byte, offset int64) string {
	before := raw[:min(max(offset-1, 0), int64(len(raw)))]
	line := bytes.Count(before, []byte{'\n'}) + 1
	return fmt.Sprintf("line %d, column %d", line, len(before)-bytes.LastIndexByte(before, '\n'))
}
