package command

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// TestWhichCluster: a flag counts more than a variable, and of two variables none is
// taken by guess: the one could name the cluster in production.
func TestWhichCluster(t *testing.T) {
	dev := filepath.Join(t.TempDir(), "cluster.json") // there is none: the error names it
	for _, c := range []struct {
		name           string
		devEnv, jidEnv string
		flags          string
		want           string
	}{
		{"none", "", "", "", "which cluster"},
		{"both by variable", dev, "op@localhost", "", "name one of them"},
		{"both by flag", "", "", "--dev " + dev + " --jid op@localhost", "name one of them"},
		{"dev typed", "", "op@localhost", "--dev " + dev, "no cluster described"},
		{"jid typed", dev, "", "--jid op@localhost --addr bad", "--addr \"bad\""},
		{"dev", dev, "", "", "no cluster described"},
		{"jid", "", "op@localhost", "--addr bad", "--addr \"bad\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(devVar, c.devEnv)
			t.Setenv(jidVar, c.jidEnv)
			env, _, errs := testEnv()
			env.Getenv = os.Getenv
			code := Run(t.Context(), env, append([]string{"ringctl", "status"}, strings.Fields(c.flags)...))
			if code == ExitOK || !strings.Contains(errs.String(), c.want) {
				t.Errorf("code %d, %s, want %q", code, errs, c.want)
			}
		})
	}
}

// TestEmptyPasswordFile: it is told before a login, which the server would count.
func TestEmptyPasswordFile(t *testing.T) {
	for _, text := range []string{"", "\n", "\r\n"} {
		file := filepath.Join(t.TempDir(), "empty.pw")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		env, _, errs := testEnv()
		code := Run(t.Context(), env, []string{"ringctl", "status", "--jid", "op@localhost", "--addr", "127.0.0.1:1", "--password-file", file})
		if code != ExitUsage || !strings.Contains(errs.String(), file+" is empty") {
			t.Errorf("%q: code %d, %s", text, code, errs)
		}
	}
}

// TestHelpWithoutFalseDefaults: where a flag that is not given means something else
// than its zero value, the help does not call that value the default.
func TestHelpWithoutFalseDefaults(t *testing.T) {
	for _, name := range []string{"put", "get", "delete"} {
		env, out, errs := testEnv()
		if code := Run(t.Context(), env, []string{"ringctl", name, "--help"}); code != ExitOK {
			t.Fatalf("code %d: %s", code, errs)
		}
		for _, wrong := range []string{"(default: 0)", "(default: 0s)"} {
			if strings.Contains(out.String(), wrong) {
				t.Errorf("%s: %s in\n%s", name, wrong, out)
			}
		}
	}
}

// TestNobodyListens: a client of the store is told at once, too; its deadline is far away.
func TestNobodyListens(t *testing.T) {
	addr := refusing(t)
	for _, args := range [][]string{{"get", "a"}, {"status", ""}} {
		env, _, errs := testEnv()
		env.Getenv = func(name string) string { return map[string]string{"ROSTERDB_PASSWORD": "pw"}[name] }
		line := append([]string{"ringctl", args[0], "--jid", "op@example.org", "--addr", addr, "--insecure-plaintext", "--timeout", "10m"}, strings.Fields(args[1])...)
		if code := Run(t.Context(), env, line); code != ExitUnreachable || !strings.Contains(errs.String(), "cannot be reached") {
			t.Errorf("%v: code %d, %s", args, code, errs)
		}
	}
}

// TestNobodyListensByName: so it is where DNS, or the domain's own name, says where the server is: the
// usual ports of a name are looked at like those of --addr.
func TestNobodyListensByName(t *testing.T) {
	addrs, err := xmppconn.Addresses(t.Context(), xmppconn.Config{JID: "op@localhost", Password: "pw", DirectTLS: true})
	if err != nil || !slices.Equal(addrs, []string{"localhost:5223"}) {
		t.Fatalf("%q, %v", addrs, err)
	}
	// On which of them nobody listens is up to the machine, so the look is at ports of the test's own.
	for _, c := range []struct {
		addrs  []string
		nobody bool
	}{
		{[]string{refusing(t)}, true},
		{[]string{refusing(t), refusing(t)}, true},
		{[]string{refusing(t), listening(t)}, false},
	} {
		err := nobodyListens(t.Context(), c.addrs)
		if got := errors.Is(err, syscall.ECONNREFUSED); got != c.nobody || !got && err != nil {
			t.Errorf("%q: %v", c.addrs, err)
		}
	}
}

// listening is an address that takes connections until the test ends.
func listening(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// refusing is an address that refuses connections until the test ends: it is taken, and nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Close(fd); err != nil {
			t.Error(err)
		}
	})
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(at.(*syscall.SockaddrInet4).Port))
}

// TestMissingCluster: a file that is not there is a wrong argument, whoever names it, and told once.
func TestMissingCluster(t *testing.T) {
	for _, name := range []string{"nofile", "cluster.json"} {
		env, _, errs := testEnv()
		file := filepath.Join(t.TempDir(), name)
		t.Setenv(devVar, file) // the flags read it themselves
		env.Getenv = os.Getenv
		code := Run(t.Context(), env, []string{"ringctl", "status"})
		if code != ExitUsage || strings.Count(errs.String(), file) != 1 || strings.Contains(errs.String(), "no such file or") {
			t.Errorf("code %d, %s", code, errs)
		}
	}
}

// TestOtherDomain: a server that serves another domain is told at once: the deadline
// of the login is far away.
func TestOtherDomain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			_, err = c.Write([]byte(`<?xml version='1.0'?><stream:stream from='example.net' id='1' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><stream:features/>`))
			if err := errors.Join(err, awaitEOF(c), c.Close()); err != nil {
				t.Log(err) // the client goes as it likes
			}
		}
	}()
	env, _, errs := testEnv()
	env.Getenv = func(name string) string { return map[string]string{"ROSTERDB_PASSWORD": "pw"}[name] }
	code := Run(t.Context(), env, []string{"ringctl", "status", "--jid", "op@example.org", "--addr", l.Addr().String(), "--insecure-plaintext", "--timeout", "10m"})
	if code != ExitUnreachable || !strings.Contains(errs.String(), "serves example.net, not example.org; check --jid") || strings.Count(errs.String(), "\n") != 1 {
		t.Errorf("code %d, %s", code, errs)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	<-served
}

func awaitEOF(c net.Conn) error {
	_, err := io.Copy(io.Discard, c)
	return err
}
