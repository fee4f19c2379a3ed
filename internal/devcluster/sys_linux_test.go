package devcluster

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestEnding: a process that ends counts as one that is there until its files, and so its
// locks, are free.
func TestEnding(t *testing.T) {
	for _, c := range []struct {
		name, stat string
		threads    int
		want       bool
	}{
		{"runs", "71 (datanode) S 1 71 71 0 -1 4194560 9 0", 9, false},
		{"its memory is gone", "71 (datanode) R 1 71 71 0 -1 4228364 9 0", 9, true},
		{"an odd name", "71 (a) b (c) R 1 71 71 0 -1 4 9 0", 1, true},
		{"the first thread has ended, others hold the files", "71 (datanode) Z 1 71 71 0 -1 4228364 9 0", 2, true},
		{"nobody has waited for it", "71 (datanode) Z 1 71 71 0 -1 4228364 9 0", 1, false},
		{"nothing is told", "", 1, false},
	} {
		if got := endingBy(c.stat, c.threads); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestZombieHasEnded: what nobody waits for is gone as far as its files are concerned.
func TestZombieHasEnded(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("true", dir+"/x")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := poll(t.Context(), time.Millisecond, func() (bool, error) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		return bytes.Contains(stat, []byte(") Z ")), err
	})
	if f := (foreign{cmd.Process.Pid, dir}); over != nil || !f.ended() {
		t.Errorf("a zombie counts as one that runs (%v)", over)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
