package mission

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// observer is an extension of a program that embeds the server: it counts what
// its hooks see, by the id of the stanza.
type observer struct {
	mu             sync.Mutex
	sent, received map[string]int
}

func (*observer) Info() module.Info      { return module.Info{Name: "observer"} }
func (*observer) Features() []string     { return nil }
func (*observer) Routes() []module.Route { return nil }

func (o *observer) note(m map[string]int, p *module.Passage) {
	o.mu.Lock()
	m[p.Stanza.AttrString(p.Stanza.ID)]++
	o.mu.Unlock()
}

func (o *observer) Extend(e *module.Extension) {
	e.StanzaSent = func(_ context.Context, p *module.Passage) error {
		o.note(o.sent, p)
		return nil
	}
	e.MessageReceived = func(_ context.Context, _ stanza.JID, p *module.Passage) error {
		o.note(o.received, p)
		return nil
	}
}

// checkHooks: each stanza that clients send is seen once by the hook of its
// sender, and each message once by that of its receiver, whatever becomes of it
// and however many clients get it.
func checkHooks(t *testing.T) {
	o := &observer{sent: map[string]int{}, received: map[string]int{}}
	cfg := xmppd.Defaults()
	cfg.Domain, cfg.Data, cfg.ListenC2S, cfg.ListenTLS, cfg.InsecurePlaintext = harness.Domain, t.TempDir(), "127.0.0.1:0", "", true
	s, err := xmppd.Start(t.Context(), cfg, xmppd.Options{Log: slog.New(slog.DiscardHandler), Modules: []module.Module{o}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"alice", "bob", "carol"} {
		if err := s.Accounts().Add(t.Context(), name, harness.Password, ""); err != nil {
			t.Fatal(err)
		}
	}
	addr, _, _ := s.Addrs()
	login := func(user, resource string) *harness.Stream {
		c := xmppraw.LoginAt(t, addr, user, resource)
		c.Send("<presence id='presence-" + resource + "'/>")
		c.Sync()
		return c
	}
	alice, first, second := login("alice", "a"), login("bob", "b1"), login("bob", "b2")
	second.Send("<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
	second.Sync()

	messages := []string{"full", "bare", "away", "nobody", "headline", "self"}
	const rounds = 20
	for i := range rounds {
		for id, to := range map[string]string{
			"full": first.JID, "bare": "bob@" + harness.Domain, "away": "carol@" + harness.Domain,
			"nobody": "nobody@" + harness.Domain, "headline": "bob@" + harness.Domain, "self": "alice@" + harness.Domain,
		} {
			typ := "chat"
			if id == "headline" {
				typ = id
			}
			alice.Send(fmt.Sprintf("<message type='%s' id='%s-%d' to='%s'><body>x</body></message>", typ, id, i, to))
		}
		alice.Send(fmt.Sprintf("<iq type='get' id='iq-%d' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>", i, harness.Domain))
		alice.Send(fmt.Sprintf("<presence id='directed-%d' to='%s'/>", i, second.JID))
	}
	alice.Sync()
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range rounds {
		for _, id := range append(messages, "iq", "directed") {
			name := fmt.Sprintf("%s-%d", id, i)
			if o.sent[name] != 1 {
				t.Errorf("%s: the sender's hook saw it %d times", name, o.sent[name])
			}
			want := 1
			if id == "iq" || id == "directed" {
				want = 0
			}
			if o.received[name] != want {
				t.Errorf("%s: the receiver's hook saw it %d times, want %d", name, o.received[name], want)
			}
		}
	}
	for _, resource := range []string{"a", "b1", "b2"} {
		if n := o.sent["presence-"+resource]; n != 1 {
			t.Errorf("presence of %s was seen %d times", resource, n)
		}
	}
}
