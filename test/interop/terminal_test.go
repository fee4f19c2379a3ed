package interop

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
)

// terminal is a terminal program that runs in tmux, as a person would see and use it. It ends with the test.
type terminal struct {
	t      testing.TB
	socket string
	name   string
}

// startTerminal runs a command of the shell on a screen of 110 by 40. env is of the form NAME=VALUE.
func startTerminal(t testing.TB, name, command string, env ...string) *terminal {
	t.Helper()
	term := &terminal{t: t, socket: filepath.Join(t.TempDir(), "tmux"), name: name}
	// -D keeps the server of tmux our child, so that it ends with us whatever happens; -N below keeps tmux from
	// starting another one.
	server := exec.Command("tmux", "-D", "-S", term.socket, "-f", "/dev/null")
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the screen of %s at the end:\n%s", name, term.screen())
		}
		_ = server.Process.Signal(syscall.SIGTERM) // its programs get SIGHUP
		_ = server.Wait()                          // says that it was told to end
	})
	args := []string{"new-session", "-d", "-x", "110", "-y", "40"}
	for _, e := range env {
		args = append(args, "-e", e)
	}
	var out string
	harness.Eventually(t, patience, "tmux runs "+name, func() bool {
		var err error
		out, err = term.tmux(append(args, command)...)
		return err == nil
	})
	if out != "" {
		t.Logf("tmux: %s", out)
	}
	return term
}

const patience = time.Minute // for what a client does at once on an idle machine

func (t *terminal) tmux(args ...string) (string, error) {
	out, err := exec.Command("tmux", append([]string{"-N", "-S", t.socket}, args...)...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("tmux %s: %w: %s", args[0], err, out)
	}
	return string(out), nil
}

// screen is what the screen shows now.
func (t *terminal) screen() string {
	out, err := t.tmux("capture-pane", "-p")
	if err != nil {
		return err.Error()
	}
	return out
}

// enter types a line and presses Enter.
func (t *terminal) enter(line string) {
	t.t.Helper()
	if _, err := t.tmux("send-keys", "-l", line); err != nil {
		t.t.Fatal(err)
	}
	t.press("Enter")
}

// press presses a key by its name in tmux.
func (t *terminal) press(key string) {
	t.t.Helper()
	if _, err := t.tmux("send-keys", key); err != nil {
		t.t.Fatal(err)
	}
}

// shows waits until a line of the screen holds all the texts.
func (t *terminal) shows(texts ...string) {
	t.t.Helper()
	harness.Eventually(t.t, patience, fmt.Sprintf("%s shows %q", t.name, texts), func() bool { return t.count(texts...) > 0 })
}

// count is the number of lines of the screen that hold all the texts.
func (t *terminal) count(texts ...string) int {
	n := 0
	for line := range strings.Lines(t.screen()) {
		all := true
		for _, text := range texts {
			all = all && strings.Contains(line, text)
		}
		if all {
			n++
		}
	}
	return n
}
