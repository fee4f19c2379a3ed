package mission

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

// hostile is what somebody sends who wishes the server no good, and the stream
// error that it gets (RFC 6120 section 4.9.3).
type hostile struct {
	name  string
	login bool // send it after a login of user2, else before any
	send  string
	slow  bool // a byte now and then
	want  string
}

const streamHeader = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

func hostiles() []hostile {
	many := strings.Builder{}
	for i := range 1000 {
		fmt.Fprintf(&many, " a%d='1'", i)
	}
	return []hostile{
		{"DTD before the stream", false, "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]>" + streamHeader, false, "restricted-xml"},
		{"comment before the stream", false, "<!-- x -->" + streamHeader, false, "restricted-xml"},
		{"no XML", false, "GET / HTTP/1.1\r\n\r\n", false, "not-well-formed"},
		{"endless header", false, "<stream:stream x='" + strings.Repeat("x", 1<<20), false, "policy-violation"},
		{"deep nesting before login", false, streamHeader + strings.Repeat("<a>", 10_000), false, "policy-violation"},
		{"slow drip", false, streamHeader, true, "connection-timeout"},
		{"DTD", true, "<!DOCTYPE x [<!ENTITY lol 'lol'>]>", false, "restricted-xml"},
		{"comment", true, "<message to='user1@localhost'><!-- x --></message>", false, "restricted-xml"},
		{"processing instruction", true, "<?x y?>", false, "restricted-xml"},
		{"entity", true, "<message to='user1@localhost'><body>&lol;</body></message>", false, "restricted-xml"},
		{"deep nesting", true, "<message>" + strings.Repeat("<a>", 100_000), false, "policy-violation"},
		{"1,000 attributes", true, "<message" + many.String() + "/>", false, "policy-violation"},
		{"huge attribute", true, "<message to='" + strings.Repeat("a", 4<<20), false, "policy-violation"},
		{"huge body", true, "<message to='user1@localhost'><body>" + strings.Repeat("a", 4<<20), false, "policy-violation"},
		{"invalid UTF-8", true, "<message to='user1@localhost'><body>\xff\xfe</body></message>", false, ""},
		{"forbidden character", true, "<message to='user1@localhost'><body>\x00</body></message>", false, "not-well-formed"},
		{"unbalanced", true, "<message><a></message>", false, "not-well-formed"},
	}
}

// checkHostileInput sends hostile streams, several of each at once, while two
// users chat: each stream is ended with its stream error, the users lose
// nothing, and the server holds no memory for the attackers.
func checkHostileInput(t *testing.T) {
	config := filepath.Join(t.TempDir(), "xmppd.toml")
	if err := os.WriteFile(config, []byte("[limits]\nnegotiation_seconds = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := harness.Start(t, devcluster.Options{Binary: binary, Nodes: 1, Partitions: 1, InsecurePlaintext: true, ServerConfig: config})
	info := c.Info()
	before := residentKB(t, info.Servers[0].PID)
	chat := startChat(t, &info)
	var wg sync.WaitGroup
	for _, h := range hostiles() {
		for i := range 5 {
			wg.Go(func() {
				got, err := attack(&info, h, fmt.Sprintf("%s %d", h.name, i))
				switch {
				case err != nil:
					t.Errorf("%s: %v", h.name, err)
				case !strings.Contains(got, "<stream:error>") || !strings.Contains(got, "<"+h.want) || !strings.HasSuffix(got, "</stream:stream>"):
					t.Errorf("%s: answered %q, want the stream error %s", h.name, got, h.want)
				}
			})
		}
	}
	wg.Wait()
	chat.stop(t)
	const grown = 64 << 10 // KiB; each of the 85 streams has sent up to 4 MiB
	if after := residentKB(t, info.Servers[0].PID); after > before+grown {
		t.Errorf("the server's memory went from %d to %d KiB", before, after)
	}
}

// attack opens a connection of its own and returns all that it was sent.
func attack(info *devcluster.Info, h hostile, resource string) (string, error) {
	conn, err := net.Dial("tcp", info.Servers[0].C2S)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return "", err
	}
	if h.login {
		if err := plainLogin(conn, info.Accounts["user2"], resource); err != nil {
			return "", fmt.Errorf("log in: %w", err)
		}
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		step := len(h.send)
		if h.slow {
			step = 1
		}
		for i := 0; i < len(h.send); i += step {
			if _, err := io.WriteString(conn, h.send[i:i+step]); err != nil {
				return // the server has had enough
			}
			if h.slow {
				time.Sleep(100 * time.Millisecond) // the attack itself
			}
		}
	}()
	got, err := io.ReadAll(conn)
	conn.Close()
	<-sent
	if len(got) > 0 {
		err = nil // a reset behind the error: the server did not read on
	}
	return string(got), err
}

// plainLogin logs in by hand on a plain-text stream (RFC 6120, RFC 4616).
func plainLogin(conn net.Conn, a devcluster.Account, resource string) error {
	name, _, _ := strings.Cut(a.JID, "@")
	auth := base64.StdEncoding.EncodeToString([]byte("\x00" + name + "\x00" + a.Password))
	for _, step := range []struct{ send, until string }{
		{streamHeader, "</stream:features>"},
		{"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + auth + "</auth>", "<success"},
		{streamHeader, "</stream:features>"},
		{"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>", "</iq>"},
	} {
		if _, err := io.WriteString(conn, step.send); err != nil {
			return err
		}
		if err := readUntil(conn, step.until); err != nil {
			return err
		}
	}
	return nil
}

func readUntil(conn net.Conn, until string) error {
	var got strings.Builder
	for b := make([]byte, 4096); !strings.Contains(got.String(), until); {
		n, err := conn.Read(b)
		if err != nil {
			return fmt.Errorf("%w after %q", err, got.String())
		}
		got.Write(b[:n])
	}
	return nil
}

// residentKB is the resident memory of a process in KiB.
func residentKB(t *testing.T, pid int) (kb int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
