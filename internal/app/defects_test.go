package app

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// reference is a test in docs/defects.md: its package or file, and its name.
var reference = regexp.MustCompile("`([^` ]+) ([^`]+)`")

// Every defect of the library has its row in docs/defects.md, and every test
// named there exists.
func TestDefectsAreProved(t *testing.T) {
	table, err := os.ReadFile("../../docs/defects.md")
	if err != nil {
		t.Fatal(err)
	}
	proved := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		tests := reference.FindAllStringSubmatch(line, -1)
		for _, m := range tests {
			if !exists(t, m[1], m[2]) {
				t.Errorf("there is no test %q in %s", m[2], m[1])
			}
		}
		if cells := strings.Split(line, "|"); len(cells) == 5 {
			proved[strings.TrimSpace(cells[1])] = len(tests) > 0
		}
	}
	for d := 1; d <= 20; d++ {
		if name := fmt.Sprintf("D%d", d); !proved[name] {
			t.Errorf("%s has no test", name)
		}
	}
}

// exists reports whether a package has a test function, or a file of the
// end-to-end tests a test of that name.
func exists(t *testing.T, where, name string) bool {
	t.Helper()
	path := filepath.Join("../..", where)
	if strings.HasSuffix(where, ".mjs") {
		text, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(text), "'"+name+"'")
	}
	files, err := filepath.Glob(filepath.Join(path, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == name {
				return true
			}
		}
	}
	return false
}
