package command_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/cli/xmppd/command"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// xmppd runs one command line and returns what it prints.
func xmppd(ctx context.Context, stdin string, args ...string) (string, error) {
	app := command.App()
	var out buffer
	app.Reader, app.Writer, app.ErrWriter = strings.NewReader(stdin), &out, &out
	err := app.RunContext(ctx, append([]string{"xmppd"}, args...))
	return out.String(), err
}

// buffer is a bytes.Buffer that a server and a test may use at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// users plays the life of accounts on a data directory.
func users(t *testing.T, data string) {
	t.Helper()
	ctx := t.Context()
	file := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(file, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--password", "x", "--group", "Data nodes", "dn1"}, {"--password-file", file, "alice"}, {"bob"},
	} {
		if _, err := xmppd(ctx, "from stdin\n", append([]string{"user", "add", "--data", data, "--domain", "example.net"}, args...)...); err != nil {
			t.Fatal(args, err)
		}
	}
	if _, err := xmppd(ctx, "x", "user", "add", "--data", data, "alice"); !errors.Is(err, account.ErrExists) {
		t.Errorf("second alice: %v", err)
	}
	for _, cmd := range [][]string{{"user", "list"}, {"user", "add", "zoe"}, {"user", "delete", "alice"}, {"roster", "list", "alice"}} {
		args := append([]string{cmd[0], cmd[1], "--data", data, "--domain", "other.net"}, cmd[2:]...)
		if _, err := xmppd(ctx, "x", args...); !errors.Is(err, store.ErrForeign) || command.ExitCode(err) != command.ExitUsage {
			t.Errorf("%v of another domain's directory: %v", cmd, err)
		}
	}
	if _, err := xmppd(ctx, "x", "user", "passwd", "--data", data, "nobody"); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("password of nobody: %v", err)
	}
	if _, err := xmppd(ctx, "x", "user", "add", "--data", data, "a b"); !errors.Is(err, account.ErrInvalid) {
		t.Errorf("bad name: %v", err)
	}
	if _, err := xmppd(ctx, "", "user", "add", "--data", data, "c"); err == nil || !strings.Contains(err.Error(), "--password-file") {
		t.Errorf("no password: %v", err)
	}
	if _, err := xmppd(ctx, "x", "user", "add", "--data", data); err == nil {
		t.Error("add without a name worked")
	}
	if _, err := xmppd(ctx, "x", "user", "passwd", "--data", data, "bob"); err != nil {
		t.Error(err)
	}
	if _, err := xmppd(ctx, "", "user", "delete", "--data", data, "bob"); err != nil {
		t.Error(err)
	}
	if out, err := xmppd(ctx, "", "user", "list", "--data", data, "-o", "json"); err != nil || out != `[{"name":"alice"},{"name":"dn1","group":"Data nodes"}]`+"\n" {
		t.Errorf("list: %q, %v", out, err)
	}
	if out, err := xmppd(ctx, "", "user", "list", "--data", data); err != nil || !strings.Contains(out, "dn1    Data nodes") {
		t.Errorf("list: %q, %v", out, err)
	}
}

func TestUserOffline(t *testing.T) {
	data := t.TempDir()
	users(t, data)
	rosters(t, data)
}

// rosters plays a portal on a data directory that users has been at.
func rosters(t *testing.T, data string) {
	t.Helper()
	run := func(args ...string) (string, error) {
		return xmppd(t.Context(), "", append([]string{args[0], args[1], "--data", data}, args[2:]...)...)
	}
	if _, err := run("roster", "set", "--name", "Node 1", "--group", "Work", "--group", "Nodes", "alice", "dn1@example.net"); err != nil {
		t.Error(err)
	}
	if out, err := run("roster", "list", "-o", "json", "alice"); err != nil || out != `[{"jid":"dn1@example.net","name":"Node 1","groups":["Nodes","Work"],"subscription":"both"}]`+"\n" {
		t.Errorf("list: %q, %v", out, err)
	}
	if out, err := run("roster", "list", "dn1"); err != nil || !strings.Contains(out, "alice@example.net  both") {
		t.Errorf("the other half: %q, %v", out, err)
	}
	for _, args := range [][]string{
		{"roster", "set", "nobody", "dn1@example.net"}, {"roster", "set", "alice", "nobody@example.net"}, {"roster", "list", "nobody"}, {"user", "group", "nobody", "G"},
	} {
		if _, err := run(args...); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("%v: %v", args, err)
		}
	}
	if _, err := run("roster", "remove", "alice", "carol@example.net"); !errors.Is(err, account.ErrNoContact) || strings.Contains(err.Error(), "account") {
		t.Errorf("removal of a contact that is none: %v", err)
	}
	if _, err := run("roster", "set", "--force", "alice", "tocome@example.net"); err != nil {
		t.Error(err)
	}
	if _, err := run("roster", "remove", "alice", "tocome@example.net"); err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{
		{"roster", "set", "--subscription", "all", "alice", "dn1@example.net"},
		{"roster", "set", "alice", "alice@example.net"},
		{"roster", "set", "alice", "dn1@example.net/x"},
		{"user", "group", "alice", "a\nb"},
	} {
		if _, err := run(args...); !errors.Is(err, account.ErrInvalid) || command.ExitCode(err) != command.ExitUsage || strings.Contains(err.Error(), account.ErrInvalid.Error()) {
			t.Errorf("%v: %v", args, err)
		}
	}
	if _, err := run("roster", "remove", "alice", "dn1@example.net"); err != nil {
		t.Error(err)
	}
	if _, err := run("user", "group", "alice", "People"); err != nil {
		t.Error(err)
	}
	if out, err := run("roster", "list", "dn1"); err != nil || !strings.Contains(out, "alice@example.net  both          alice  People") {
		t.Errorf("a member of a group: %q, %v", out, err)
	}
	if _, err := run("user", "group", "alice"); err != nil {
		t.Error(err)
	}
	if _, err := run("user", "group"); err == nil {
		t.Error("user group without a name works")
	}
	if _, err := run("roster", "set", "alice"); err == nil {
		t.Error("roster set without a contact works")
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestServe(t *testing.T) {
	data, err := os.MkdirTemp("", "xmppd") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(data) }()
	config := filepath.Join(data, "x.toml")
	if err := os.WriteFile(config, []byte("domain = 'example.net'\ndata = '/nowhere'\nlisten_tls = ''\nlog_format = 'json'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	ctx, stop := context.WithCancel(t.Context())
	type result struct {
		out string
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, err := xmppd(ctx, "", "serve", "--config", config, "--data", data, "--listen-c2s", addr)
		done <- result{out, err}
	}()
	var conn net.Conn
	for end := time.Now().Add(time.Minute); ; {
		if conn, err = net.Dial("tcp", addr); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // the pause of a poll
	}
	users(t, data)
	rosters(t, data)
	if _, err := xmppd(t.Context(), "", "serve", "--config", config, "--data", data, "--listen-c2s", "127.0.0.1:0"); !errors.Is(err, store.ErrLocked) {
		t.Errorf("second server: %v", err)
	}
	stop()
	got, _ := io.ReadAll(conn)
	_ = conn.Close()
	if !strings.Contains(string(got), "<system-shutdown ") {
		t.Errorf("client was told %q", got)
	}
	r := <-done
	if r.err != nil || !strings.Contains(r.out, `"msg":"shutting down"`) {
		t.Errorf("serve: %v\n%s", r.err, r.out)
	}
	if strings.Contains(r.out, "from stdin") {
		t.Error("a password is in the log")
	}
}

func TestServeErrors(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.toml")
	if err := os.WriteFile(bad, []byte("domain = 'x'\nport = 5222\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		bad + `:2: unknown key "port"`: {"--config", bad},
		"no domain":                    {},
		`listen_c2s is HOST:PORT`:      {"--domain", "x", "--listen-c2s", ":port"},
		"load certificate: open":       {"--domain", "x", "--data", t.TempDir(), "--tls-cert", "/no/cert", "--tls-key", "/no/key"},
		"configured twice":             {"--domain", "x", "--data", t.TempDir(), "--listen-c2s", "127.0.0.1:0", "--listen-tls", "", "--listen-component", "127.0.0.1:0", "--component", "a.x=1", "--component", "a.x=2"},
		"loopback addresses only":      {"--domain", "x", "--insecure-plaintext"},
		"serve takes no arguments":     {"--domain", "x", "more"},
		"log level is":                 {"--domain", "x", "--log-level", "loud"},
		"read configuration":           {"--config", "/no/such/file"},
	} {
		if _, err := xmppd(t.Context(), "", append([]string{"serve"}, args...)...); err == nil || !strings.Contains(err.Error(), want) || command.ExitCode(err) != command.ExitUsage {
			t.Errorf("%v: got %v (exit code %d), want %q", args, err, command.ExitCode(err), want)
		}
	}
}

// TestOnlyAddMakesADirectory: a wrong --data is told, and nothing is made there.
func TestOnlyAddMakesADirectory(t *testing.T) {
	data := filepath.Join(t.TempDir(), "wrong")
	for _, args := range []string{
		"user list", "user passwd --password x alice", "user delete alice", "user group alice G",
		"roster list alice", "roster set alice bob@example.net", "roster remove alice bob@example.net",
	} {
		words := strings.Fields(args)
		words = append([]string{words[0], words[1], "--data", data, "--domain", "example.net"}, words[2:]...)
		if _, err := xmppd(t.Context(), "", words...); !errors.Is(err, store.ErrNoData) {
			t.Errorf("%s: %v", args, err)
		}
	}
	if _, err := xmppd(t.Context(), "", "user", "add", "--data", data, "--password", "x", "alice"); !errors.Is(err, store.ErrNoDomain) {
		t.Errorf("user add without --domain: %v", err)
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("the directory was made")
	}
	if _, err := xmppd(t.Context(), "", "user", "add", "--data", data, "--domain", "example.net", "--password", "x", "alice"); err != nil {
		t.Error(err)
	}
	if out, err := xmppd(t.Context(), "", "user", "list", "--data", data, "--domain", "example.net"); err != nil || !strings.Contains(out, "alice") {
		t.Errorf("list: %q, %v", out, err)
	}
}

// TestHelpWithoutCommand: xmppd alone shows what there is.
func TestHelpWithoutCommand(t *testing.T) {
	for args, want := range map[string][]string{
		"": {"serve", "user", "roster", "COMMANDS:", "EXIT CODES:"}, "user": {"add", "passwd", "delete", "list"},
	} {
		out, err := xmppd(t.Context(), "", strings.Fields(args)...)
		for _, w := range want {
			if err != nil || !strings.Contains(out, w) {
				t.Errorf("xmppd %s: no %q in %q, %v", args, w, out, err)
			}
		}
	}
}

func TestExitCodes(t *testing.T) {
	data := t.TempDir()
	for _, tt := range []struct {
		args string
		want int
	}{
		{"--help", command.ExitOK},
		{"", command.ExitOK},
		{"user delete --data " + data + " nobody", command.ExitFailed},
		{"serve --data /dev/null/x --domain example.net --listen-c2s 127.0.0.1:0", command.ExitFailed},
		{"serv", command.ExitUsage},
		{"user ad", command.ExitUsage},
		{"--nothing", command.ExitUsage},
		{"serve --nothing", command.ExitUsage},
		{"user list --nothing", command.ExitUsage},
		{"user list -o xml --data " + data, command.ExitUsage},
		{"roster list -o xml --data " + data + " alice", command.ExitUsage},
		{"user delete --data " + data, command.ExitUsage},
		{"user add --data " + data + " alice", command.ExitUsage}, // no password
		{"user add --data " + data + " --password-file /no/file alice", command.ExitUsage},
		{"user add --data " + data + " --domain example.net --password x @", command.ExitUsage},
	} {
		out, err := xmppd(t.Context(), "", strings.Fields(tt.args)...)
		if got := command.ExitCode(err); got != tt.want {
			t.Errorf("%s: exit code %d, want %d; %v\n%s", tt.args, got, tt.want, err, out)
		}
	}
}
