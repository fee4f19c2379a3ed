package interop

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
)

// program is a command of a test with a home of its own. What it prints is kept; it ends with the test.
type program struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	out  bytes.Buffer
	done chan error
}

func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *program) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// start runs a command; input is what it reads.
func start(t *testing.T, env []string, input string, name string, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	p := &program{cmd: exec.CommandContext(ctx, name, args...), done: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = strings.NewReader(input), p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-p.done
	})
	return p
}

// run is start, and waits until the command has ended well.
func run(t *testing.T, env []string, input string, name string, args ...string) string {
	t.Helper()
	p := start(t, env, input, name, args...)
	err := <-p.done
	p.done <- err // for the clean-up
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, p.output())
	}
	return p.output()
}

// sendxmpprc writes a configuration file as the manual page of go-sendxmpp proposes it. The program looks for it at
// the home of the user database, whatever HOME says, so it is told where the file is.
func sendxmpprc(t *testing.T, user, addr string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sendxmpprc")
	rc := "username: " + user + "@" + harness.Domain + "\npassword: " + harness.Password + "\njserver: " + addr + "\n"
	if err := os.WriteFile(file, []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestGoSendxmpp sends and receives as somebody would who has just read the manual page: by STARTTLS and by
// direct TLS, with the certificate checked.
func TestGoSendxmpp(t *testing.T) {
	NeedPrograms(t, [2]string{"go-sendxmpp", "go-sendxmpp"})
	s := Start(t, binary, "", "alice", "bob")
	const to, text = "bob@" + harness.Domain, "Grüße & <welcome>"
	starttls, direct, trust := s.Addr(t, "clients"), s.Addr(t, "clients by TLS"), []string{"SSL_CERT_FILE=" + s.CA}
	bob := start(t, trust, "", "go-sendxmpp", "--listen", "-f", sendxmpprc(t, "bob", starttls))
	alice := sendxmpprc(t, "alice", starttls)
	harness.Eventually(t, harness.Patience, "bob listens", func() bool {
		run(t, trust, "are you there?", "go-sendxmpp", "-f", alice, to)
		return strings.Contains(bob.output(), "are you there?")
	})
	run(t, trust, text, "go-sendxmpp", "-f", alice, to)
	run(t, trust, "by direct TLS", "go-sendxmpp", "--tls", "-f", sendxmpprc(t, "alice", direct), to)
	harness.Eventually(t, harness.Patience, "both messages arrive", func() bool {
		return strings.Contains(bob.output(), text) && strings.Contains(bob.output(), "by direct TLS")
	})
	if n := strings.Count(bob.output(), text); n != 1 || !strings.Contains(bob.output(), "alice@"+harness.Domain) {
		t.Errorf("bob got it %d times:\n%s", n, bob.output())
	}
	stranger := start(t, []string{"SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR=/nonexistent"}, "no", "go-sendxmpp", "-f", alice, to)
	err := <-stranger.done
	stranger.done <- err
	if err == nil || !strings.Contains(stranger.output(), "certificate") {
		t.Errorf("without our authority it ended with %v:\n%s", err, stranger.output())
	}
}
