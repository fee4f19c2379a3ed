package command

import (
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
