// Package arch holds the rules of the house: who may import whom, how large a
// file may grow, and that no package has hidden state.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rosterdb/rosterdb/"

// pkg is what `go list` says of a package, paths below the module.
type pkg struct {
	ImportPath   string
	Dir          string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
}

func (p pkg) path() string { return strings.TrimPrefix(p.ImportPath, module) }

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,TestGoFiles,XTestGoFiles,Imports", module+"...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var list []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// rule says which packages of the module a package may import: each entry is a
// package, or with "/..." everything below it too.
type rule struct {
	of      string
	allowed []string
}

// rules are the ones of ARCHITECTURE.md; the first that fits counts. Internal
// packages are named one by one, so that the planes cannot meet there.
func rules() []rule {
	return []rule{
		{"ring", nil},
		{"internal/op", nil},
		{"internal/stanza", nil},
		{"internal/b64", nil},
		{"internal/wire", []string{"internal/b64", "internal/op", "internal/stanza"}},
		{"internal/contacts", []string{"internal/stanza"}},
		{"internal/certs", nil},
		{"internal/procs", nil},
		{"internal/rawio", nil},
		{"internal/trim", nil},
		{"internal/version", nil},
		{"internal/xmppconn/xmppconntest", []string{"internal/certs", "internal/stanza"}},
		{"internal/xmppconn", []string{"internal/rawio", "internal/stanza"}},
		{"internal/admin/...", []string{"internal/admin/...", "internal/contacts", "internal/stanza", "internal/wire", "internal/xmppconn", "ring"}},
		{"internal/devcluster", []string{"internal/admin", "internal/certs", "internal/xmppconn", "ring"}},
		{"replication/internal/binenc", nil},
		{"replication/wal/...", []string{"replication/wal/...", "replication/internal/binenc"}},
		{"replication/state", []string{"internal/op", "replication/internal/binenc", "ring"}},
		{"replication/...", []string{"replication/...", "internal/op", "ring"}},
		{"datanode/...", []string{"datanode/...", "internal/admin/adminxml", "replication/...", "ring", "internal/contacts", "internal/op", "internal/stanza", "internal/wire", "internal/xmppconn"}},
		{"appclient/...", []string{"appclient/...", "ring", "internal/contacts", "internal/op", "internal/stanza", "internal/wire", "internal/xmppconn/..."}},
		{"xmppd/modules/...", []string{"xmppd/module", "xmppd/session", "xmppd/store", "xmppd/store/sweep", "internal/stanza"}},
		{"xmppd/store/replicated", []string{"xmppd/store", "replication/...", "ring", "internal/op"}},
		{"xmppd/...", []string{"xmppd/...", "ring", "internal/certs", "internal/rawio", "internal/stanza", "internal/version"}},
		{"examples/...", []string{"appclient"}},
		{"cli/...", []string{"..."}}, // the mains wire
		{"test/...", []string{"..."}},
	}
}

func TestImports(t *testing.T) {
	used := map[string]bool{} // rules, and what they allow, that are about something
	for _, p := range packages(t) {
		i := slices.IndexFunc(rules(), func(r rule) bool { return covers(r.of, p.path()) })
		if i < 0 {
			t.Errorf("%s: no import rule covers it; add one here and in ARCHITECTURE.md", p.path())
			continue
		}
		r := rules()[i]
		used[r.of] = true
		for _, imp := range p.Imports {
			target, ours := strings.CutPrefix(imp, module)
			if !ours {
				continue
			}
			a := slices.IndexFunc(r.allowed, func(a string) bool { return covers(a, target) })
			if a < 0 {
				t.Errorf("%s imports %s; it may import only %v", p.path(), target, r.allowed)
				continue
			}
			used[r.of+" imports "+r.allowed[a]] = true
		}
	}
	for _, r := range rules() {
		if !used[r.of] {
			t.Errorf("the rule of %s is about no package", r.of)
		}
		for _, a := range r.allowed {
			if !covers(r.of, strings.TrimSuffix(a, "/...")) && !used[r.of+" imports "+a] {
				t.Errorf("%s may import %s, and does not", r.of, a)
			}
		}
	}
}

// covers says whether a pattern of the rules fits a package.
func covers(pattern, p string) bool {
	base, tree := strings.CutSuffix(pattern, "...")
	if !tree {
		return pattern == p
	}
	base = strings.TrimSuffix(base, "/")
	return base == "" || p == base || strings.HasPrefix(p, base+"/")
}

// TestRulesBite: a test of rules that lets everything pass proves nothing.
func TestRulesBite(t *testing.T) {
	for _, c := range []struct {
		pattern, p string
		want       bool
	}{
		{"ring", "ring", true},
		{"ring", "ringctl", false},
		{"replication/...", "replication", true},
		{"replication/...", "replication/wal", true},
		{"replication/...", "replicationx", false},
		{"...", "anything/at/all", true},
	} {
		if got := covers(c.pattern, c.p); got != c.want {
			t.Errorf("covers(%q, %q) = %v", c.pattern, c.p, got)
		}
	}
	for _, r := range rules() {
		switch path.Dir(r.of) {
		case "datanode", "appclient":
			if slices.ContainsFunc(r.allowed, func(a string) bool { return covers(a, "xmppd") || covers(a, "xmppd/c2s") }) {
				t.Errorf("%s may import xmppd: the planes meet", r.of)
			}
		}
	}
}
