// Package hostile attacks a server through its sockets, and holds that each attack costs only the
// one who makes it: the attacker gets the stream, SASL or stanza error of RFC 6120, two bystanders
// go on chatting, and the server's memory stays bounded.
package hostile

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const victim = "carol@" + xmppraw.Domain + "/victim"

// attack is what somebody sends who wishes the server no good.
type attack struct {
	name, send string
	// want is the condition of the stream error, "sasl " or "stanza " and the condition of that
	// kind of error behind which the stream lives on, "end" for an end without an error, or
	// "harmless" where nothing happens at all.
	want string
}

// stage brings a fresh connection to where an attack begins.
type stage func(t *testing.T, s *xmppd.Server, resource string) *xmppraw.Client

func connected(t *testing.T, s *xmppd.Server, _ string) *xmppraw.Client {
	addr, _, _ := s.Addrs()
	return xmppraw.Connect(t, addr)
}

func opened(t *testing.T, s *xmppd.Server, _ string) *xmppraw.Client {
	c := connected(t, s, "")
	c.Open()
	return c
}

func authenticated(t *testing.T, s *xmppd.Server, _ string) *xmppraw.Client {
	c := opened(t, s, "")
	c.Send(xmppraw.Plain("mallory", xmppraw.Password))
	c.Want("<success")
	c.Want(">")
	c.Open()
	return c
}

func bound(t *testing.T, s *xmppd.Server, resource string) *xmppraw.Client {
	return xmppraw.Login(t, s, "mallory", resource)
}

func boundTLS(t *testing.T, s *xmppd.Server, resource string) *xmppraw.Client {
	return xmppraw.LoginTLS(t, s, "mallory", resource)
}

// run makes attacks from one stage, while bystanders chat.
func run(t *testing.T, s *xmppd.Server, from stage, by *bystanders, attacks []attack) {
	t.Helper()
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			c := from(t, s, fmt.Sprint("r", by.attackers.Add(1)))
			_ = c.TrySend(a.send)
			judge(t, c, a.want)
			by.goOn(t, 1)
		})
	}
}

// judge checks how the server takes what was sent.
func judge(t *testing.T, c *xmppraw.Client, want string) {
	t.Helper()
	kind, condition, found := strings.Cut(want, " ")
	if !found && want != "end" && want != "harmless" {
		kind, condition = "stream", want
	}
	switch kind {
	case "stream":
		got := c.Rest()
		if !strings.Contains(got, "<stream:error><"+condition+" xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>") || !strings.HasSuffix(got, "</stream:error></stream:stream>") {
			t.Errorf("answered %.2000q, want the stream error %s", got, condition)
		}
		if c.JID == "" && strings.Count(got, "<stream:stream ") > 1 {
			t.Errorf("two stream headers: %.2000q", got)
		}
	case "end":
		if got := c.Rest(); strings.Contains(got, "<stream:error>") || !strings.HasSuffix(got, "</stream:stream>") {
			t.Errorf("answered %.2000q, want the end of the stream", got)
		}
	case "sasl":
		c.Want("<failure xmlns='" + xmppraw.NSSASL + "'><" + condition + "/></failure>")
		c.Send(xmppraw.Plain("mallory", xmppraw.Password)) // a second attempt is allowed
		c.Want("<success xmlns='" + xmppraw.NSSASL + "'/>")
	case "stanza":
		got := c.Want("</error>")
		if !strings.Contains(got, "type='error'") || !strings.Contains(got, "<"+condition+" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>") {
			t.Errorf("answered %.2000q, want the stanza error %s", got, condition)
		}
		c.Sync()
	case "harmless":
		if got := c.Sync(); got != "" {
			t.Errorf("answered %.2000q, want nothing", got)
		}
	default:
		t.Fatalf("a test can't want %q", want)
	}
}

// bystanders are two users that chat without a pause and must not notice anything.
type bystanders struct {
	a, b   *xmppraw.Client
	rounds atomic.Int64
	// attackers numbers resources.
	attackers atomic.Int64
	stop      atomic.Bool
	done      chan error
}

// chat starts bystanders; the end of the test checks that nothing was lost between them and that
// nothing else has reached them.
func chat(t *testing.T, s *xmppd.Server) *bystanders {
	t.Helper()
	by := &bystanders{
		a: xmppraw.Login(t, s, "alice", "bystander"), b: xmppraw.Login(t, s, "bob", "bystander"),
		done: make(chan error, 1),
	}
	go func() { by.done <- by.loop() }()
	t.Cleanup(func() {
		by.stop.Store(true)
		if err := <-by.done; err != nil {
			t.Errorf("a bystander noticed: %v", err)
		}
	})
	return by
}

func (by *bystanders) loop() error {
	for !by.stop.Load() {
		body := fmt.Sprint("round ", by.rounds.Load())
		if err := say(by.a, by.b, body); err != nil {
			return err
		}
		if err := say(by.b, by.a, body); err != nil {
			return err
		}
		by.rounds.Add(1)
		time.Sleep(time.Millisecond) // leaves some of the machine to the attackers
	}
	return nil
}

// say sends a message; it has to be the next thing that arrives.
func say(from, to *xmppraw.Client, body string) error {
	if err := from.TrySend(xmppraw.Message(to.JID, body)); err != nil {
		return err
	}
	want := "<message from='" + from.JID + "'" + strings.TrimPrefix(xmppraw.Message(to.JID, body), "<message")
	got := make([]byte, len(want))
	_ = to.Conn.SetReadDeadline(time.Now().Add(xmppraw.Patience))
	if n, err := io.ReadFull(to.Conn, got); err != nil {
		return fmt.Errorf("%s waits for %q, has %q: %w", to.JID, want, got[:n], err)
	}
	if string(got) != want {
		return fmt.Errorf("%s waits for %q, has %q", to.JID, want, got)
	}
	return nil
}

// goOn waits until the bystanders have exchanged so many more messages each way.
func (by *bystanders) goOn(t *testing.T, rounds int64) {
	t.Helper()
	want := by.rounds.Load() + rounds
	for end := time.Now().Add(xmppraw.Patience); by.rounds.Load() < want; {
		select {
		case err := <-by.done:
			by.done <- err
			t.Fatalf("the bystanders have stopped: %v", err)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("the bystanders stand at %d rounds, %d wanted", by.rounds.Load(), want)
		}
		time.Sleep(time.Millisecond) // the pause of a poll
	}
}
