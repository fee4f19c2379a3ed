package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
)

// demoCommand prepares a demo whose files lie in a directory of the test's.
func demoCommand(t *testing.T, ctx context.Context, args ...string) (cmd *exec.Cmd, tmp string, out *bytes.Buffer) {
	t.Helper()
	tmp = t.TempDir()
	cmd = exec.CommandContext(ctx, binary, append([]string{"demo"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	out = new(bytes.Buffer)
	cmd.Stdout = out
	cmd.Stderr = os.Stderr
	t.Cleanup(func() {
		for _, pid := range processesIn(t, tmp) {
			t.Errorf("process %d still runs", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL) // ours, by its arguments
		}
	})
	return cmd, tmp, out
}

// processesIn returns the processes whose arguments name a file below dir.
func processesIn(t *testing.T, dir string) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(b), dir+"/") {
			continue // gone meanwhile, or somebody else's
		}
		var pid int
		if _, err := fmt.Sscanf(file, "/proc/%d/cmdline", &pid); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func mustBeEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		t.Errorf("the demo left %s", f.Name())
	}
}

// TestDemoSmoke: the last line is the JSON that scripts rely on, all held, in
// under a minute, and nothing is left.
func TestDemoSmoke(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd, tmp, out := demoCommand(t, ctx, "--smoke", "-o", "json")
	if err := cmd.Run(); err != nil {
		t.Fatalf("demo --smoke: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var r struct {
		OK           bool     `json:"ok"`
		Nodes        int      `json:"nodes"`
		Objects      int      `json:"objects"`
		Acknowledged int      `json:"acknowledged"`
		Lost         *int     `json:"lost"`
		Errors       *int     `json:"errors"`
		WritesPerS   float64  `json:"writes_per_s"`
		ReadsPerS    float64  `json:"reads_per_s"`
		LongestGapMS *float64 `json:"longest_gap_ms"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		t.Fatalf("last line %q: %v", lines[len(lines)-1], err)
	}
	if !r.OK || r.Nodes != 5 || r.Objects == 0 || r.Acknowledged <= r.Objects || r.WritesPerS <= 0 || r.ReadsPerS <= 0 ||
		r.Lost == nil || *r.Lost != 0 || r.Errors == nil || r.LongestGapMS == nil {
		t.Errorf("%s", lines[len(lines)-1])
	}
	mustBeEmpty(t, tmp)
}

// TestDemoEnds: whatever ends a demo, nothing keeps running; files stay behind
// only where it was killed without a chance to remove them.
func TestDemoEnds(t *testing.T) {
	for _, c := range []struct {
		sig  syscall.Signal
		code int // -1: died of the signal
	}{{syscall.SIGINT, 130}, {syscall.SIGTERM, 130}, {syscall.SIGKILL, -1}} {
		t.Run(c.sig.String(), func(t *testing.T) {
			cmd, tmp, out := demoCommand(t, context.Background(), "--smoke")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			harness.Eventually(t, harness.Patience, "the data nodes run", func() bool { return len(processesIn(t, tmp)) == 6 })
			if err := cmd.Process.Signal(c.sig); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // the code says it all
			if got := cmd.ProcessState.ExitCode(); got != c.code {
				t.Errorf("exit code %d, want %d\n%s", got, c.code, out)
			}
			harness.Eventually(t, harness.Patience, "nothing runs", func() bool { return len(processesIn(t, tmp)) == 0 })
			if c.sig != syscall.SIGKILL {
				mustBeEmpty(t, tmp)
			}
		})
	}
}
