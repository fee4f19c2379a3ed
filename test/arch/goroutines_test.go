package arch

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// watchedElsewhere lists packages that start goroutines and whose leaks another
// package's tests look for.
func watchedElsewhere() map[string]string {
	return map[string]string{
		"internal/xmppconn/xmppconntest": "internal/xmppconn",
		"appclient/appclienttest":        "appclient",
		"datanode":                       "test/cluster",
		"internal/admin":                 "test/cluster",
		"xmppd/c2s":                      "xmppd",
		"test/bench/kvchild":             "", // a process of its own: it ends with all it has started
		"test/harness":                   "", // only in tests over processes, each with its clean-up
	}
}

// TestLeaksAreLookedFor: a package that starts goroutines has tests that fail
// when one is left (goleak).
func TestLeaksAreLookedFor(t *testing.T) {
	all := packages(t)
	for _, p := range all {
		if !startsGoroutines(t, p) || looksForLeaks(t, p) {
			continue
		}
		other, listed := watchedElsewhere()[p.path()]
		if listed && other == "" {
			continue
		}
		i := slices.IndexFunc(all, func(q pkg) bool { return q.path() == other })
		if i < 0 || !looksForLeaks(t, all[i]) {
			t.Errorf("%s starts goroutines, and no test looks for leaks: call goleak.VerifyTestMain in its TestMain", p.path())
		}
	}
}

func startsGoroutines(t *testing.T, p pkg) (starts bool) {
	t.Helper()
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				starts = true
			case *ast.CallExpr: // sync.WaitGroup, errgroup.Group
				sel, ok := n.Fun.(*ast.SelectorExpr)
				starts = starts || ok && sel.Sel.Name == "Go"
			}
			return true
		})
	}
	return starts
}

func looksForLeaks(t *testing.T, p pkg) bool {
	t.Helper()
	for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
		src, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(src, []byte("goleak.Verify")) {
			return true
		}
	}
	return false
}
