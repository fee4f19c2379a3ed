package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestTable: each mistake has its own line and names a test that exists; the
// mistakes that the store's promises rest on are there.
func TestTable(t *testing.T) {
	names, tests := make(map[string]bool), make(map[string]map[string]bool)
	for _, m := range mutants() {
		if names[m.name] {
			t.Errorf("%q is there twice", m.name)
		}
		names[m.name] = true
		if tests[m.pkg] == nil {
			tests[m.pkg] = testsOf(t, m.pkg)
		}
		if top, _, _ := strings.Cut(m.test, "/"); !tests[m.pkg][top] {
			t.Errorf("%q: %s has no %s", m.name, m.pkg, top)
		}
	}
	if len(names) < 15 {
		t.Errorf("only %d mistakes", len(names))
	}
}

func testsOf(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	dir := filepath.Join("..", "..", filepath.FromSlash(pkg))
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s: %v", dir, err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				found[fn.Name.Name] = true
			}
		}
	}
	return found
}

// TestPattern: the expression fits one test and no other.
func TestPattern(t *testing.T) {
	if got, want := (mutant{test: "TestA/b,_(c)"}).pattern(), `^TestA$/^b,_\(c\)$`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
