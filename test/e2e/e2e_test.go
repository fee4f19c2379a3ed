// Package e2e runs ringctl as users do: as a program, in a shell's manner. The
// scripts lie in testdata; what needs signals and process tables is Go.
package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

// binary is the ringctl under test; TestMain builds it.
var binary string

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == curlMark {
		os.Exit(curl(os.Args[2:]))
	}
	harness.Main(m, &binary)
}

// TestScripts runs testdata/*.txtar. Clusters in $WORK/c1 and $WORK/c2 are
// stopped when a script ends, however it ends.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+env.Getenv("PATH"))
			for _, name := range []string{"c1", "c2"} {
				dir := filepath.Join(env.WorkDir, name)
				env.Defer(func() {
					if _, err := os.Stat(filepath.Join(dir, "lock")); err != nil {
						return // the script never had this cluster
					}
					if err := devcluster.Down(dir); err != nil {
						t.Errorf("stop what the script left: %v", err)
					}
				})
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode":   exitCode,
			"eventually": eventually,
			"comesto":    comesTo,
			"field":      field,
			"get":        get,
		},
	})
}
