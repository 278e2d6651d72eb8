package lab_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"provisioner/lab"
)

// No kind is missing from the list that people are told, and may ask for.
func TestEventKindsAreAllOfThem(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "events.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok {
			kind, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			declared = append(declared, kind)
		}
		return true
	})
	if kinds := lab.EventKinds(); len(declared) == 0 || !slices.Equal(kinds, declared) {
		t.Errorf("kinds %q; declared in events.go are %q", kinds, declared)
	}
}
