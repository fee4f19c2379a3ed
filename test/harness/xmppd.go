package harness

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

// Domain and Password of the servers that StartXMPPD starts.
const (
	Domain   = xmppraw.Domain
	Password = xmppraw.Password
)

// Stream is a client that sends and expects bytes.
type Stream = xmppraw.Client

// XMPPD is a server process of a test.
type XMPPD struct {
	Data string
	Cmd  *exec.Cmd
	ns   *Namespace // that it runs in; nil: the test's own
	mu   sync.Mutex
	log  bytes.Buffer
	addr map[string]string // "clients", "clients by TLS", "http", "components", ... to host:port
	news chan struct{}     // wakes Addr up
	done chan struct{}     // closed when the log has ended
}

// StartXMPPD runs the xmppd command of the binary, on loopback ports that the system chooses, with
// accounts for the users. config is TOML behind what every test needs. A listener that is off by default
// is switched on in it, with port 0; Addr finds it. Logins don't need TLS unless config says that
// insecure_plaintext is false. The server ends with the test.
func StartXMPPD(t testing.TB, binary, config string, users ...string) *XMPPD {
	t.Helper()
	return StartXMPPDIn(t, binary, t.TempDir(), config, users...)
}

// StartXMPPDIn is StartXMPPD with a data directory that may hold something from before.
func StartXMPPDIn(t testing.TB, binary, data, config string, users ...string) *XMPPD {
	t.Helper()
	addUsers(t, data, "", users)
	text := "log_level = \"debug\"\nlisten_c2s = \"127.0.0.1:0\"\nlisten_tls = \"127.0.0.1:0\"\n"
	if !strings.Contains(config, "insecure_plaintext") {
		text += "insecure_plaintext = true\n"
	}
	return serve(t, binary, data, text+config, nil)
}

// LaunchXMPPD is StartXMPPDIn for a server that may never take clients: it is not waited for, and TOML is all that config says.
func LaunchXMPPD(t testing.TB, binary, data, config string) *XMPPD {
	t.Helper()
	return launch(t, binary, data, config, nil)
}

// serve runs a server with a configuration until it takes clients. ns is the network namespace that it runs in; nil: the test's own.
func serve(t testing.TB, binary, data, config string, ns *Namespace) *XMPPD {
	t.Helper()
	s := launch(t, binary, data, config, ns)
	s.Addr(t, "clients")
	return s
}

func launch(t testing.TB, binary, data, config string, ns *Namespace) *XMPPD {
	t.Helper()
	file := filepath.Join(t.TempDir(), "xmppd.toml")
	config = fmt.Sprintf("domain = %q\ndata = %q\nlog_format = \"json\"\n", Domain, data) + config
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	argv := ns.wrap(binary, "xmppd", "serve", "--config", file)
	s := &XMPPD{
		Data: data, Cmd: exec.Command(argv[0], argv[1:]...), ns: ns,
		addr: make(map[string]string), news: make(chan struct{}, 1), done: make(chan struct{}),
	}
	s.Cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	logs, err := s.Cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.follow(logs)
	t.Cleanup(func() {
		s.Stop(t)
		if t.Failed() {
			log := s.Log()
			t.Logf("end of the log of xmppd:\n%s", log[max(0, len(log)-4000):])
		}
	})
	return s
}

// addUsers makes the accounts that don't exist yet; group may be empty.
func addUsers(t testing.TB, data, group string, users []string) {
	t.Helper()
	if len(users) == 0 {
		return
	}
	store, err := xmppd.OpenOrMakeUsers(t.Context(), data, Domain)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	have, err := store.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range users {
		known := false
		for _, h := range have {
			known = known || h.Name == u
		}
		if known {
			continue
		}
		if err := store.Add(t.Context(), u, Password, group); err != nil {
			t.Fatal(err)
		}
	}
}

// follow reads the log, and notes where the server listens.
func (s *XMPPD) follow(logs io.Reader) {
	defer close(s.done)
	for lines := bufio.NewScanner(logs); lines.Scan(); {
		var line struct{ Msg, For, Addr string }
		s.mu.Lock()
		s.log.Write(append(lines.Bytes(), '\n'))
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			s.addr[line.For] = line.Addr
		}
		s.mu.Unlock()
		select {
		case s.news <- struct{}{}:
		default:
		}
	}
}

// Log is what the server has logged so far, JSON lines.
func (s *XMPPD) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// Addr waits until the server listens for something, as a line {"msg":"listening","for":...} of its log
// names it, and returns the address.
func (s *XMPPD) Addr(t testing.TB, what string) string {
	t.Helper()
	timeout := time.After(startTimeout)
	for {
		s.mu.Lock()
		a := s.addr[what]
		s.mu.Unlock()
		if a != "" {
			return a
		}
		select {
		case <-s.news:
		case <-s.done:
			t.Fatalf("xmppd has ended:\n%s", s.Log())
		case <-timeout:
			t.Fatalf("xmppd does not listen for %s:\n%s", what, s.Log())
		}
	}
}

// Stop ends the server as an operator would, and waits for it.
func (s *XMPPD) Stop(t testing.TB) {
	t.Helper()
	if s.Cmd.ProcessState != nil {
		return
	}
	_ = s.Cmd.Process.Signal(syscall.SIGTERM)
	<-s.done
	if err := s.Cmd.Wait(); err != nil {
		t.Errorf("xmppd ended with: %v", err)
	}
}

// Kill ends the server as a power cut would.
func (s *XMPPD) Kill(t testing.TB) {
	t.Helper()
	_ = s.Cmd.Process.Kill()
	<-s.done
	_ = s.Cmd.Wait() // says that it was killed
}

// Login logs a user in and returns the stream, without presence.
func (s *XMPPD) Login(t testing.TB, user, resource string) *Stream {
	t.Helper()
	c := xmppraw.New(t, s.dial(t, "clients"))
	c.LogIn(user, resource)
	return c
}

// dial connects to a listener of the server.
func (s *XMPPD) dial(t testing.TB, what string) net.Conn {
	t.Helper()
	conn, err := s.ns.Dial(s.Addr(t, what))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// Online is Login with available presence, which the server has handled.
func (s *XMPPD) Online(t testing.TB, user, resource string) *Stream {
	t.Helper()
	return s.Login(t, user, resource).Available()
}
