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

// hostile is what somebody sends who wishes the server no good, and the error that it gets.
type hostile struct {
	name  string
	login bool // send it after a login of user2, else before any
	send  string
	slow  bool   // a byte now and then
	want  string // is part of the answer, streamEnd all of it; the stream ends behind it
}

const (
	streamHeader = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	streamEnd    = "</stream:stream>"
)

func streamError(condition string) string { return "<stream:error><" + condition + " " }

func hostiles() []hostile {
	many := strings.Builder{}
	for i := range 1000 {
		fmt.Fprintf(&many, " a%d='1'", i)
	}
	const restricted, malformed, policy, encoding = "restricted-xml", "not-well-formed", "policy-violation", "unsupported-encoding"
	to := func(content string) string { return "<message to='user1@localhost'>" + content + "</message>" }
	sasl := func(element string) string {
		return streamHeader + "<" + element + " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>" + streamEnd
	}
	return []hostile{
		{"DTD before the stream", false, "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]>" + streamHeader, false, streamError(restricted)},
		{"comment before the stream", false, "<!-- x -->" + streamHeader, false, streamError(restricted)},
		{"no XML", false, "GET / HTTP/1.1\r\n\r\n", false, streamError(malformed)},
		{"other encoding", false, strings.Replace(streamHeader, "'?", "' encoding='latin1'?", 1), false, streamError(encoding)},
		{"other content namespace", false, strings.Replace(streamHeader, "jabber:client", "jabber:server", 1), false, streamError("invalid-namespace")},
		{"endless header", false, "<stream:stream x='" + strings.Repeat("x", 1<<20), false, streamError(policy)},
		{"deep nesting before login", false, streamHeader + strings.Repeat("<a>", 10_000), false, streamError(policy)},
		{"slow drip before login", false, streamHeader + strings.Repeat(" ", 1000), true, streamError("connection-timeout")},
		{"stanza before login", false, streamHeader + to("spam"), false, streamError("not-authorized")},
		{"binding before login", false, streamHeader + "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", false, streamError("not-authorized")},
		{"SASL out of order", false, sasl("response"), false, "<malformed-request/></failure>"},
		{"SASL aborted", false, sasl("abort"), false, "<aborted/></failure>"},
		{"SASL without a mechanism", false, sasl("auth"), false, "<invalid-mechanism/></failure>"},
		{"data injected behind STARTTLS", false, streamHeader + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" + to("spam"), false, streamError(policy)},

		{"DTD", true, "<!DOCTYPE x [<!ENTITY lol 'lol'>]>", false, streamError(restricted)},
		{"comment", true, to("<!-- x -->"), false, streamError(restricted)},
		{"processing instruction", true, "<?x y?>", false, streamError(restricted)},
		{"entity", true, to("<body>&lol;</body>"), false, streamError(restricted)},
		{"20,000 levels", true, to(strings.Repeat("<a>", 20_000) + strings.Repeat("</a>", 20_000)), false, streamError(policy)},
		{"1,000 attributes", true, "<message" + many.String() + "/>", false, streamError(policy)},
		{"endless name", true, "<" + strings.Repeat("a", 4<<20), false, streamError(policy)},
		{"huge attribute", true, "<message to='" + strings.Repeat("a", 4<<20), false, streamError(policy)},
		{"huge body", true, to("<body>" + strings.Repeat("a", 4<<20)), false, streamError(policy)},
		{"slow drip after login", true, "<message to='user1@localhost'><body>" + strings.Repeat("x", 1000), true, streamError(policy)},
		{"invalid UTF-8", true, to("<body>\xff\xfe</body>"), false, streamError(encoding)},
		{"overlong UTF-8", true, to("<body>\xc0\xaf</body>"), false, streamError(encoding)},
		{"surrogate", true, to("<body>\xed\xa0\x80</body>"), false, streamError(encoding)},
		{"forbidden character", true, to("<body>\x00</body>"), false, streamError(malformed)},
		{"forbidden reference", true, to("<body>&#0;</body>"), false, streamError(malformed)},
		{"unbalanced", true, "<message><a></message>", false, streamError(malformed)},
		{"undeclared prefix", true, to("<x:a/>"), false, streamError("bad-namespace-prefix")},
		{"stanza of a server", true, "<message xmlns='jabber:server' to='user1@localhost'/>", false, streamError("invalid-namespace")},
		{"unknown element", true, "<a xmlns='b'/>", false, streamError("unsupported-stanza-type")},
		{"SASL after login", true, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>", false, streamError("unsupported-stanza-type")},
		{"spoofed from", true, "<message from='user1@localhost' to='user1@localhost'><body>it is me</body></message>", false, streamError("invalid-from")},
		{"second binding", true, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>" + streamEnd, false, "type='error'"},
		{"iq without an id", true, "<iq type='get' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>" + streamEnd, false, "<bad-request "},
		{"malformed address", true, "<message to='@@'/>" + streamEnd, false, "<jid-malformed "},
		{"error nobody asked for", true, "<message type='error' to='nobody@localhost'/><iq type='result' id='1' to='localhost'/>" + streamEnd, false, streamEnd},
	}
}

// checkHostileInput sends hostile streams, several of each at once, with thousands of connections
// that say nothing beside them, while two users chat: each stream gets its error, the users lose
// nothing, and the server holds no memory for the attackers.
func checkHostileInput(t *testing.T) {
	config := filepath.Join(t.TempDir(), "xmppd.toml")
	if err := os.WriteFile(config, []byte("[limits]\nnegotiation_seconds = 10\nstanza_seconds = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := harness.Start(t, devcluster.Options{Binary: binary, Servers: 1, Nodes: 1, Partitions: 1, InsecurePlaintext: true, ServerConfig: config})
	info := c.Info()
	before := residentKB(t, info.Servers[0].PID)
	chat := startChat(t, &info)
	var wg sync.WaitGroup
	wg.Go(func() { stayMute(t, info.Servers[0].C2S, 3000) })
	const each = 3
	for _, h := range hostiles() {
		for i := range each {
			wg.Go(func() {
				got, err := attack(&info, h, fmt.Sprintf("%s %d", h.name, i))
				switch {
				case err != nil:
					t.Errorf("%s: %v", h.name, err)
				case h.want == streamEnd && got != streamEnd, !strings.Contains(got, h.want) || !strings.HasSuffix(got, streamEnd):
					t.Errorf("%s: answered %.1000q, want %s", h.name, got, h.want)
				}
			})
		}
	}
	wg.Wait()
	chat.stop(t)
	const grown = 96 << 10 // KiB; the streams have sent up to 4 MiB each, and 3,000 connections were open
	if after := residentKB(t, info.Servers[0].PID); after > before+grown {
		t.Errorf("the server's memory went from %d to %d KiB", before, after)
	}
}

// stayMute opens connections from several addresses and waits until the server has had enough.
func stayMute(t *testing.T, addr string, n int) {
	var all []net.Conn
	defer func() {
		for _, c := range all {
			_ = c.Close()
		}
	}()
	for i := range n {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 2, byte(1+i%10))}, Timeout: harness.Patience}
		c, err := d.Dial("tcp", addr)
		if err != nil {
			t.Errorf("mute connection %d: %v", i, err)
			return
		}
		all = append(all, c)
	}
	for i, c := range all {
		_ = c.SetReadDeadline(time.Now().Add(harness.Patience))
		got, err := io.ReadAll(c)
		if err != nil || !strings.Contains(string(got), streamError("connection-timeout")) {
			t.Errorf("mute connection %d: %q, %v", i, got, err)
			return
		}
	}
}

// attack opens a connection of its own and returns all that it was sent.
func attack(info *devcluster.Info, h hostile, resource string) (string, error) {
	conn, err := net.Dial("tcp", info.Servers[0].C2S)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(harness.Patience)); err != nil {
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
