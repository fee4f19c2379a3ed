package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckpointOfNothing: a try that ended before its first note is known as
// one, so that the objects it wrote are not taken for others'.
func TestCheckpointOfNothing(t *testing.T) {
	mark := checkpoint{Checksum: "1", Cluster: "c", file: filepath.Join(t.TempDir(), "all.jsonl.progress")}
	if n, begun, err := mark.read(); n != 0 || begun || err != nil {
		t.Fatalf("before: %d, %v, %v", n, begun, err)
	}
	if err := mark.write(0); err != nil {
		t.Fatal(err)
	}
	if n, begun, err := mark.read(); n != 0 || !begun || err != nil {
		t.Errorf("begun: %d, %v, %v", n, begun, err)
	}
	other := mark
	other.Cluster = "d"
	if _, _, err := other.read(); err == nil || !strings.Contains(err.Error(), "another cluster") {
		t.Errorf("of another cluster: %v", err)
	}
	if err := mark.remove(); err != nil {
		t.Fatal(err)
	}
	if _, begun, err := mark.read(); begun || err != nil {
		t.Errorf("after the end: %v, %v", begun, err)
	}
}

// TestDryRun: a file is checked without a cluster, from a name or from standard input,
// and nothing stays of that.
func TestDryRun(t *testing.T) {
	const good = `{"format":"rosterdb-objects","version":1}
{"root":"a","text":"hello"}
{"end":true,"objects":1,"bytes":5}
`
	bad := strings.Replace(good, "text", "txet", 1)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	for _, c := range []struct {
		command, text string
		code          int
		want          string
	}{
		{"import", good, ExitOK, "1 objects, 5 B of values"},
		{"import", bad, ExitFailed, `nothing is written: read -: line 2: not a file that ringctl can import`},
		{"restore", good, ExitFailed, "checksum"},
	} {
		env, out, errs := testEnv()
		env.Stdin = strings.NewReader(c.text)
		code := Run(t.Context(), env, []string{"ringctl", c.command, "--dry-run", "-"})
		if code != c.code || !strings.Contains(out.String()+errs.String(), c.want) {
			t.Errorf("%s: code %d, %s%s, want %q", c.command, code, out, errs, c.want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
