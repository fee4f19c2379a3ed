package command_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/cli/xmppd/command"
)

// waiting is the configuration of a server that has nobody to join and may not found a cluster.
func waiting(t *testing.T) (config string) {
	t.Helper()
	dir := t.TempDir()
	if _, err := xmppd(t.Context(), "", "cluster", "secrets", "--dir", dir, "x2"); err != nil {
		t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	text := fmt.Sprintf("domain = 'example.net'\ndata = %q\nlisten_c2s = '127.0.0.1:0'\nlisten_tls = ''\ninsecure_plaintext = true\n"+
		"[cluster]\nlisten = '127.0.0.1:0'\nname = 'x2'\njoin = [%q]\nkey_file = %q\nca = %q\ncert = %q\nkey = %q\n",
		file("data"), freeAddr(t), file("cluster.key"), file("ca.pem"), file("x2.pem"), file("x2.key"))
	if err := os.WriteFile(file("x2.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file("x2.toml")
}

// TestStopWhileWaiting: a server that finds nobody says what may be wrong, and has not failed when it is told to end.
func TestStopWhileWaiting(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	config := waiting(t)
	var out buffer
	app := command.App()
	app.Writer, app.ErrWriter = &out, &out
	done := make(chan error, 1)
	go func() { done <- app.RunContext(ctx, []string{"xmppd", "serve", "--config", config}) }()
	for _, hint := range []string{"no server answers at an address of cluster.join", "start it with cluster.found = true"} {
		for end := time.Now().Add(time.Minute); !strings.Contains(out.String(), hint); time.Sleep(5 * time.Millisecond) { // between looks
			if time.Now().After(end) {
				t.Fatalf("no %q in\n%s", hint, out.String())
			}
		}
	}
	stop()
	if err := <-done; err != nil || !strings.Contains(out.String(), "stopped before it took clients") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
