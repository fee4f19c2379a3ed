package mission

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// checkSimulation: on a file of keys the strategies' skew and moves come out as a
// table and as JSON, and ours is even and moves hardly more than it must.
func checkSimulation(t *testing.T) {
	var keys strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&keys, "cart/%d\n", i*7)
	}
	file := filepath.Join(t.TempDir(), "keys.txt")
	if err := os.WriteFile(file, []byte(keys.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), binary, "simulate", "--nodes", "4,5,9,8", "-o", "json", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Keys int
		Rows []struct {
			Strategy   string
			Nodes      int
			Skew       float64
			MovedPart  float64 `json:"moved_part"`
			NeededPart float64 `json:"needed_part"`
		}
	}
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if s.Keys != 30_000 || len(s.Rows) != 16 {
		t.Fatalf("%d keys, %d rows of 4 strategies with 4 numbers of nodes", s.Keys, len(s.Rows))
	}
	for _, r := range s.Rows {
		if r.Strategy == "rosterdb" && (r.Skew > 1.1 || r.MovedPart > 1.1*r.NeededPart) {
			t.Errorf("%+v", r)
		}
	}
	table, err := exec.CommandContext(t.Context(), binary, "simulate", "--nodes", "4,5", "--strategies", "rosterdb,modulo", file).Output()
	if err != nil || strings.Count(string(table), "rosterdb") != 2 || strings.Count(string(table), "modulo") != 2 {
		t.Errorf("%v\n%s", err, table)
	}
}
