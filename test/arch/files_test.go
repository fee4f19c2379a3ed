package arch

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	maxLines     = 500 // a file
	maxFuncLines = 90
)

// long lists the files and functions that may be longer, with the reason.
func long() map[string]string {
	return map[string]string{}
}

func TestFiles(t *testing.T) {
	reasons := long()
	for _, p := range packages(t) {
		doc := false
		names := slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles)
		for _, name := range names {
			file := filepath.Join(p.Dir, name)
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			key := p.path() + "/" + name
			if n := bytes.Count(src, []byte("\n")); n > maxLines && reasons[key] == "" {
				t.Errorf("%s has %d lines; split it at %d, or give a reason in long()", key, n, maxLines)
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, file, src, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			doc = doc || f.Doc != nil
			checkFuncs(t, fset, f, key, reasons)
		}
		if !doc && len(names) > 0 {
			t.Errorf("package %s has no comment that says what it is for", p.path())
		}
	}
}

// checkFuncs finds init functions, which are hidden state, and long functions.
func checkFuncs(t *testing.T, fset *token.FileSet, f *ast.File, key string, reasons map[string]string) {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		if fn.Name.Name == "init" && fn.Recv == nil {
			t.Errorf("%s: init functions are hidden state; call it from where it is needed", key)
		}
		lines := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
		if lines > maxFuncLines && !strings.HasSuffix(key, "_test.go") && reasons[key+" "+fn.Name.Name] == "" {
			t.Errorf("%s: %s has %d lines; split it, or give a reason in long()", key, fn.Name.Name, lines)
		}
	}
}

// TestNoMutableState looks for package-level variables that could hold state.
// Errors, compiled patterns, interface checks and tables that nobody writes are
// no state; anything else has to be said.
func TestNoMutableState(t *testing.T) {
	for _, p := range packages(t) {
		if strings.HasPrefix(p.path(), "test/") {
			continue // flags and the binary under test
		}
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range written(f) {
				t.Errorf("%s/%s: package variable %s is assigned to; keep state in a value", p.path(), name, v)
			}
		}
	}
}

// written returns package-level variables that a function of the file assigns to.
func written(f *ast.File) []string {
	vars := map[string]bool{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			for _, n := range s.(*ast.ValueSpec).Names {
				vars[n.Name] = n.Name != "_"
			}
		}
	}
	var found []string
	ast.Inspect(f, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && a.Tok != token.DEFINE {
			for _, lhs := range a.Lhs {
				// The parser resolves identifiers within a file: Obj is the
				// package-level one only if nothing nearer has the name.
				if id, ok := lhs.(*ast.Ident); ok && vars[id.Name] && id.Obj != nil && id.Obj == f.Scope.Lookup(id.Name) {
					found = append(found, id.Name)
				}
			}
		}
		return true
	})
	return found
}
