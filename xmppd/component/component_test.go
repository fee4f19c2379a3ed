package component

import (
	"bufio"
	"context"
	"crypto/sha1" //nolint:gosec // the handshake of XEP-0114
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWithoutNamespace(t *testing.T) {
	for in, want := range map[string]string{
		"<message to='a'/>": "<message to='a'/>",
		"<message xmlns='jabber:component:accept' to='a'/>":        "<message to='a'/>",
		"<message to='a' xmlns = \"jabber:client\"><b/></message>": "<message to='a'><b/></message>",
		"<message to=' xmlns=q'/>":                                 "<message to=' xmlns=q'/>",
		"<message xmlns:x='y' id='1'/>":                            "<message xmlns:x='y' id='1'/>",
		"<message><b xmlns='c'/></message>":                        "<message><b xmlns='c'/></message>",
	} {
		if got := string(withoutNamespace([]byte(in))); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

// FuzzHeader: what a stranger sends as a header names a domain, or is a stream error.
func FuzzHeader(f *testing.F) {
	for _, seed := range []string{
		"<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='a.b'>",
		"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='>'>", "<?xml version='1.0' encoding='latin1'?><a>",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		domain, err := parseHeader(b)
		var se *module.StreamError
		if err != nil && !errors.As(err, &se) || err == nil && domain == "" {
			t.Fatalf("%q: domain %q, error %v", b, domain, err)
		}
	})
}

// FuzzWithoutNamespace: what the scanner takes is still taken, and no longer declares its namespace.
func FuzzWithoutNamespace(f *testing.F) {
	for _, seed := range []string{"<iq xmlns='jabber:component:accept'/>", "<message a=\"xmlns='\" \n xmlns\t=\t'q'></message>", "<presence xmlns=''/>"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		st, err := stanza.One(raw)
		if err != nil || st.Kind == stanza.StreamEnd {
			return
		}
		out, err := stanza.One(withoutNamespace(st.Raw))
		if err != nil {
			t.Fatalf("%q became %q: %v", raw, withoutNamespace(st.Raw), err)
		}
		p := stanza.Parse(out.Raw)
		p.Next()
		if ns, there := p.Attr("xmlns"); there {
			t.Fatalf("%q still declares %q", out.Raw, ns)
		}
	})
}

// TestSilence: connections that prove nothing are bounded in number and in time.
func TestSilence(t *testing.T) {
	s := New(Config{Log: slog.New(slog.DiscardHandler), Handshake: 50 * time.Millisecond})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	var conns []net.Conn
	for range maxWaiting + 5 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	for _, c := range conns {
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, err := io.Copy(io.Discard, c)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Error("a silent connection was not ended")
		}
		_ = c.Close()
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// anyRouter takes every domain.
type anyRouter struct{ Router }

func (anyRouter) Attach(string, module.Domain) (func(), error) { return func() {}, nil }

func (anyRouter) Return(context.Context, *session.Session, [][]byte, int, *session.Batch) {}

// TestSilenceKeepsNobodyOut: however many connections say nothing, a component gets in.
func TestSilenceKeepsNobodyOut(t *testing.T) {
	s := New(Config{Log: slog.New(slog.DiscardHandler), Handshake: time.Hour, Secrets: map[string]string{"a.b": "s"}, Router: anyRouter{}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		return c
	}
	for range maxWaiting + 20 {
		dial()
	}
	c := dial()
	if _, err := io.WriteString(c, "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='a.b'>"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	read := func(until string) string {
		t.Helper()
		got := ""
		for !strings.HasSuffix(got, until) {
			b, err := in.ReadByte()
			if err != nil {
				t.Fatalf("got %q: %v", got, err)
			}
			got += string(b)
		}
		return got
	}
	read("?>")
	_, id, _ := strings.Cut(read("'>"), " id='")
	sum := sha1.Sum([]byte(strings.TrimSuffix(id, "'>") + "s")) //nolint:gosec // XEP-0114
	if _, err := io.WriteString(c, "<handshake>"+hex.EncodeToString(sum[:])+"</handshake>"); err != nil {
		t.Fatal(err)
	}
	read("<handshake/>")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
