package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhichCluster: a flag counts more than a variable, and of two variables none is
// taken by guess: the one could name the cluster in production.
func TestWhichCluster(t *testing.T) {
	dev := filepath.Join(t.TempDir(), "cluster.json") // there is none: the error names it
	for _, c := range []struct {
		name           string
		devEnv, jidEnv string
		flags          string
		want           string
	}{
		{"none", "", "", "", "which cluster"},
		{"both by variable", dev, "op@localhost", "", "name one of them"},
		{"both by flag", "", "", "--dev " + dev + " --jid op@localhost", "name one of them"},
		{"dev typed", "", "op@localhost", "--dev " + dev, "no cluster described"},
		{"jid typed", dev, "", "--jid op@localhost --addr bad", "--addr \"bad\""},
		{"dev", dev, "", "", "no cluster described"},
		{"jid", "", "op@localhost", "--addr bad", "--addr \"bad\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(devVar, c.devEnv)
			t.Setenv(jidVar, c.jidEnv)
			env, _, errs := testEnv()
			env.Getenv = os.Getenv
			code := Run(t.Context(), env, append([]string{"ringctl", "status"}, strings.Fields(c.flags)...))
			if code == ExitOK || !strings.Contains(errs.String(), c.want) {
				t.Errorf("code %d, %s, want %q", code, errs, c.want)
			}
		})
	}
}
