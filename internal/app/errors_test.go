package app

import (
	"go/ast"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// codes returns every error code that package events declares.
func codes(t *testing.T) (list []string) {
	t.Helper()
	for _, f := range sources(t, "../../events", 0) {
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok {
				if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Code" {
					code, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
					list = append(list, code)
				}
			}
			return true
		})
	}
	slices.Sort(list)
	return list
}

// The catalogue in the documentation has a row for every code and no other.
func TestErrorCatalogue(t *testing.T) {
	raw, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|").FindAllSubmatch(raw, -1) {
		rows = append(rows, string(m[1]))
	}
	slices.Sort(rows)
	if want := codes(t); !slices.Equal(rows, want) {
		t.Errorf("docs/errors.md has\n%v\nthe program\n%v", rows, want)
	}
}
