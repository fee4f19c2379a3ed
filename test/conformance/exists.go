package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
)

// testFiles is what the tests of a package have by name.
type testFiles struct {
	funcs   map[string]bool
	strings map[string]bool // literals: names of subtests are among them
}

// exists holds that a test like "xmppd/im.TestRoster/set" exists: its function, and for each part of
// the subtest's name a string in the package's tests.
func exists(root string, known map[string]*testFiles, ref string) error {
	i := strings.Index(ref, ".Test")
	if i < 0 {
		i = strings.Index(ref, ".Fuzz")
	}
	if i < 0 {
		return fmt.Errorf("%q is no test: write package.Test/subtest", ref)
	}
	pkg, name := ref[:i], strings.Split(ref[i+1:], "/")
	files, ok := known[pkg]
	if !ok {
		var err error
		if files, err = parseTests(filepath.Join(root, filepath.FromSlash(pkg))); err != nil {
			return err
		}
		known[pkg] = files
	}
	if !files.funcs[name[0]] {
		return fmt.Errorf("package %s has no test %s", pkg, name[0])
	}
	for _, sub := range name[1:] {
		if !files.strings[sub] {
			return fmt.Errorf("package %s has no subtest called %q", pkg, sub)
		}
	}
	return nil
}

func parseTests(dir string) (*testFiles, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, fmt.Errorf("find tests: %w", err)
	}
	out := &testFiles{funcs: make(map[string]bool), strings: make(map[string]bool)}
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return nil, fmt.Errorf("parse tests: %w", err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				out.funcs[n.Name.Name] = n.Recv == nil
			case *ast.BasicLit:
				if n.Kind == token.STRING {
					if s, err := strconv.Unquote(n.Value); err == nil {
						out.strings[s] = true
					}
				}
			}
			return true
		})
	}
	// Plays are files: each is a subtest named by its path or by its base.
	plays, err := filepath.Glob(filepath.Join(dir, "testdata", "*", "*"))
	if err != nil {
		return nil, fmt.Errorf("find plays: %w", err)
	}
	for _, p := range plays {
		base := filepath.Base(p)
		out.strings[base] = true
		out.strings[strings.TrimSuffix(base, filepath.Ext(base))] = true
	}
	return out, nil
}
