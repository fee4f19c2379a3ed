package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFilesAreNotReplaced: without --force a backup that is there stays, before
// anybody is asked for anything.
func TestFilesAreNotReplaced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "monday.jsonl")
	if err := os.WriteFile(file, []byte("good"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"backup", "export"} {
		env, _, errs := testEnv()
		if code := Run(t.Context(), env, []string{"ringctl", verb, file}); code != ExitFailed || !strings.Contains(errs.String(), "--force") {
			t.Errorf("%s: code %d, %s", verb, code, errs)
		}
		env, _, errs = testEnv()
		if Run(t.Context(), env, []string{"ringctl", verb, "--force", file}); !strings.Contains(errs.String(), "which cluster") {
			t.Errorf("%s --force: %s", verb, errs)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "good" {
		t.Errorf("the file: %q, %v", b, err)
	}
}

// TestAdmission: a member whose disk is empty replaces itself, a new node joins.
func TestAdmission(t *testing.T) {
	d := goldenRing(t)
	if got := admission(d, "dn3@example.org/store"); !strings.HasPrefix(got, "ringctl replace dn3 dn3") {
		t.Errorf("a member: %s", got)
	}
	for _, got := range []string{admission(d, "dn4@example.org/store"), admission(nil, "dn4@example.org/store")} {
		if got != "ringctl join dn4" {
			t.Errorf("a new node: %s", got)
		}
	}
}
