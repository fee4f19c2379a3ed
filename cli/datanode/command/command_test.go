package command_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/cli/datanode/command"
	"github.com/rosterdb/rosterdb/replication"
)

// run runs the program as from a shell and returns what main would end with.
func run(t *testing.T, args ...string) (code int, text, out string) {
	t.Helper()
	var stdout bytes.Buffer
	app := command.App()
	app.Writer, app.ErrWriter = &stdout, &stdout
	code, text = command.Outcome(app.Run(append([]string{"datanode"}, args...)))
	return code, text, stdout.String()
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	pw := file("pw", "secret\n")
	photos := filepath.Join(dir, "photos")
	if err := os.Mkdir(photos, 0o700); err != nil {
		t.Fatal(err)
	}
	file("photos/summer.jpg", "x")
	fresh := filepath.Join(dir, "fresh")
	damaged := filepath.Join(dir, "damaged")
	if err := os.Mkdir(damaged, 0o700); err != nil {
		t.Fatal(err)
	}
	file("damaged/identity", "rosterdb identity 1 00000000\n{}")
	locked := filepath.Join(dir, "locked")
	d, err := replication.OpenDir(locked)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // only releases the lock
	base := []string{"--jid", "dn1@localhost", "--password-file", pw, "--addr", "127.0.0.1:1", "--log-level", "error"}
	for _, c := range []struct {
		name string
		args []string
		code int
		text string
	}{
		{"unknown flag", []string{"run", "--dri", "x"}, 2, "not defined"},
		{"no directory", []string{"run", "--jid", "dn1@localhost"}, 2, "--dir is missing"},
		{"argument", []string{"run", "now"}, 2, "unexpected argument"},
		{"log level", []string{"run", "--dir", fresh, "--jid", "dn1@localhost", "--log-level", "loud"}, 2, "use debug"},
		{"reserve", append([]string{"run", "--dir", fresh, "--disk-reserve", "lots"}, base...), 2, "is no size"},
		{"no password", []string{"run", "--dir", fresh, "--jid", "dn1@localhost"}, 2, "ROSTERDB_PASSWORD"},
		{"password file gone", []string{"run", "--dir", fresh, "--jid", "dn1@localhost", "--password-file", dir + "/none"}, 3, "read the password"},
		{"empty password file", []string{"run", "--dir", fresh, "--jid", "dn1@localhost", "--password-file", file("empty", "\n")}, 3, "is empty"},
		{"bad CA", append([]string{"run", "--dir", fresh, "--ca", pw}, base...), 3, "no certificate"},
		{"bad JID", []string{"run", "--dir", fresh, "--jid", "localhost", "--password-file", pw}, 3, "JID"},
		{"bad app", append([]string{"run", "--dir", fresh, "--app", "a/b/c"}, base...), 3, "bare JID"},
		{"somebody's photos", append([]string{"run", "--dir", photos}, base...), 3, "summer.jpg"},
		{"damaged identity", append([]string{"run", "--dir", damaged}, base...), 5, "ringctl replace"},
		{"identity that is damaged", []string{"identity", "--dir", damaged}, 5, "ringctl replace"},
		{"locked", append([]string{"run", "--dir", locked}, base...), 3, "in use"},
		{"identity of nothing", []string{"identity", "--dir", dir + "/none"}, 3, "no such file"},
		{"identity without directory", []string{"identity"}, 2, "--dir is missing"},
		{"identity format", []string{"identity", "--dir", fresh, "-o", "xml"}, 2, "use text or json"},
		{"help", []string{"run", "--help"}, 0, ""},
	} {
		code, text, _ := run(t, c.args...)
		if code != c.code || !strings.Contains(text, c.text) || strings.Contains(text, "\n") {
			t.Errorf("%s: exit %d, %q; want %d with %q", c.name, code, text, c.code, c.text)
		}
	}
	if _, err := os.Stat(fresh); !errors.Is(err, os.ErrNotExist) {
		t.Error("a mistake in the flags left a data directory behind")
	}
}

func TestIdentity(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	d, err := replication.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	store := d.Store()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	code, text, out := run(t, "identity", "--dir", dir)
	if code != 0 || !strings.Contains(out, store) || !strings.Contains(out, "none") {
		t.Errorf("exit %d, %s, %s", code, text, out)
	}
	code, text, out = run(t, "identity", "--dir", dir, "-o", "json")
	var id struct{ Store string }
	if err := json.Unmarshal([]byte(out), &id); err != nil || code != 0 || id.Store != store {
		t.Errorf("exit %d, %s, %s: %v", code, text, out, err)
	}
}

func TestSizes(t *testing.T) {
	for in, want := range map[string]uint64{
		"": 0, "0": 0, "1024": 1024, "512MiB": 512 << 20, "1.5GiB": 3 << 29, "2 KiB": 2048, "1TiB": 1 << 40,
	} {
		if got, err := command.ParseSize(in); err != nil || got != want {
			t.Errorf("%q: %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"-1", "x", "1MB", "9999999TiB", "NaN", "MiB"} {
		if got, err := command.ParseSize(in); err == nil {
			t.Errorf("%q was read as %d", in, got)
		}
	}
}
