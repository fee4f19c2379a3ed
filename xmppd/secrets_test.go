package xmppd_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"mellium.im/sasl"

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
		c.open()
		if got := c.auth(mech, "alice", wrong); got == "success" {
			t.Fatal("logged in with a wrong password")
		}
	}
	c := connect(t, addr)
	c.open()
	c.send("<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>mallory</username><password>" + fresh + "</password></query></iq>")
	c.want("type='result'")
	c.auth(sasl.Plain, "mallory", fresh)
	c.open()
	c.bind("x")
	alice := online(t, s, "alice", "x")
	alice.send("<iq type='set' id='p'><query xmlns='jabber:iq:register'><username>alice</username><password>" + fresh + "</password></query></iq>")
	alice.want("type='result'")
	for _, to := range []string{c.jid, "nobody@" + domain, "elsewhere.example", "alice@" + domain, "@@"} {
		alice.send(message(to, words))
	}
	alice.sync()
	stranger, id := openComponent(t, s, gateway)
	stranger.send(proof(id, wrong))
	stranger.rest()
	k := proveComponent(t, s, secret)
	k.send("<message from='x@" + gateway + "' to='alice@" + domain + "'><body>" + words + "</body></message>")
	alice.want(words)
	alice.send("<message><body>" + words + "</wrong>")
	alice.rest()
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
