package xmppd_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

// logBuffer is a log that a test reads.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestLogTellsNoSecrets: whatever happens, at the most talkative level, neither passwords nor what
// people say to one another is in the log; who failed to log in is.
func TestLogTellsNoSecrets(t *testing.T) {
	const wrong, words, secret, fresh = "a-wrong-password", "words-between-two", "component-secret", "a-fresh-password"
	log := new(logBuffer)
	cfg := xmppd.Defaults()
	cfg.Domain, cfg.Data, cfg.ListenC2S, cfg.ListenTLS = domain, t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"
	cfg.ListenComponent, cfg.Components = "127.0.0.1:0", []xmppd.ComponentConfig{{Name: gateway, Secret: secret}}
	cfg.InsecurePlaintext, cfg.Registration = true, "open"
	cfg.Modules.Adhoc.Admins = []string{"alice"}
	s, err := xmppd.Start(t.Context(), cfg, xmppd.Options{Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Accounts().Add(t.Context(), "alice", password, ""); err != nil {
		t.Fatal(err)
	}
	addr, _, _ := s.Addrs()
	for _, mech := range []sasl.Mechanism{sasl.Plain, sasl.ScramSha256, sasl.ScramSha1} {
		c := connect(t, addr)
		c.Open()
		if got := c.Auth(mech, "alice", wrong); got == "success" {
			t.Fatal("logged in with a wrong password")
		}
	}
	c := connect(t, addr)
	c.Open()
	c.Send("<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>mallory</username><password>" + fresh + "</password></query></iq>")
	c.Want("type='result'")
	c.Auth(sasl.Plain, "mallory", fresh)
	c.Open()
	c.Bind("x")
	alice := online(t, s, "alice", "x")
	alice.Send("<iq type='set' id='p'><query xmlns='jabber:iq:register'><username>alice</username><password>" + fresh + "</password></query></iq>")
	alice.Want("type='result'")
	for _, to := range []string{c.JID, "nobody@" + domain, "elsewhere.example", "alice@" + domain, "@@"} {
		alice.Send(xmppraw.Message(to, words))
	}
	alice.Sync()
	stranger, id := openComponent(t, s, gateway)
	stranger.Send(proof(id, wrong))
	stranger.Rest()
	k := proveComponent(t, s, secret)
	k.Send("<message from='x@" + gateway + "' to='alice@" + domain + "'><body>" + words + "</body></message>")
	alice.Want(words)
	alice.Send("<message><body>" + words + "</wrong>")
	alice.Rest()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	text := log.String()
	for _, no := range []string{password, wrong, words, secret, fresh} {
		if strings.Contains(text, no) {
			t.Errorf("the log tells %q: %s", no, around(text, no))
		}
	}
	if !strings.Contains(text, `"authentication failed","user":"alice"`) {
		t.Error("the log does not tell who failed to log in")
	}
}

// around is the line of a text that holds a word.
func around(text, word string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			return line
		}
	}
	return ""
}
