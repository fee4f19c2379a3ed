package command_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/cli/xmppd/command"
)

// TestFrozen: what asks a server that holds its socket and does not answer ends, and says so; and where none runs it says
// what to do.
func TestFrozen(t *testing.T) {
	data := t.TempDir()
	frozen, nobody := filepath.Join(data, "admin.sock"), t.TempDir()
	l, err := net.Listen("unix", frozen) // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, cmd := range [][]string{{"status"}, {"remove", "x2"}, {"remove", "--no-wait", "x2"}, {"drain", "x2"}} {
		for dir, want := range map[string]string{data: "does not answer in time", nobody: "no server runs on this data directory"} {
			args := append([]string{"cluster", cmd[0], "--data", dir, "--timeout", "50ms"}, cmd[1:]...)
			if _, err := xmppd(t.Context(), "", args...); err == nil || !strings.Contains(err.Error(), want) || command.ExitCode(err) != command.ExitFailed {
				t.Errorf("%v: %v, not %q", cmd, err, want)
			}
		}
	}
}

// TestExtraArguments: what takes no more arguments says so.
func TestExtraArguments(t *testing.T) {
	for _, args := range [][]string{{"cluster", "status", "x"}, {"cluster", "drain", "x", "y"}, {"cluster", "remove", "x", "y"}, {"user", "list", "x"}} {
		if _, err := xmppd(t.Context(), "", args...); command.ExitCode(err) != command.ExitUsage {
			t.Errorf("%v: %v", args, err)
		}
	}
}
