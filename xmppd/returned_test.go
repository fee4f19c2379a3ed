package xmppd_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// mourner is a module that takes what sessions leave behind, and notes what it is told.
type mourner struct {
	mu     sync.Mutex
	events []string
}

func (*mourner) Info() module.Info      { return module.Info{Name: "mourner"} }
func (*mourner) Features() []string     { return nil }
func (*mourner) Routes() []module.Route { return nil }

func (m *mourner) note(s string) {
	m.mu.Lock()
	m.events = append(m.events, s)
	m.mu.Unlock()
}

func (m *mourner) Extend(e *module.Extension) {
	e.MessageDelivered = func(_ context.Context, _ stanza.JID, p *module.Passage, took []*session.Session) bool {
		if len(took) == 0 {
			m.note("message")
		}
		return len(took) == 0
	}
	e.Returned = func(_ context.Context, s *session.Session, _ *session.Batch) { m.note("returned " + s.JID.Resource) }
}

// TestReturnedOnce: modules are told once of a session that is gone, behind all that it left.
func TestReturnedOnce(t *testing.T) {
	m := new(mourner)
	cfg := xmppd.Defaults()
	cfg.IO, cfg.Domain, cfg.Data = *ioStrategy, domain, t.TempDir()
	cfg.ListenC2S, cfg.ListenTLS, cfg.ListenHTTP = "127.0.0.1:0", "", "127.0.0.1:0"
	cfg.InsecurePlaintext = true
	s, err := xmppd.Start(t.Context(), cfg, xmppd.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Modules: []module.Module{m}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice", "bob"} {
		if err := s.Accounts().Add(t.Context(), name, password, ""); err != nil {
			t.Fatal(err)
		}
	}
	alice := online(t, s, "alice", "a")
	bob := enable(online(t, s, "bob", "b"), "")
	loginBOSH(t, s, "bob", "w")
	for i := range 3 {
		alice.Send(xmppraw.Message(bob.JID, fmt.Sprint(i)) + xmppraw.Message("bob@"+domain+"/w", fmt.Sprint(i)))
	}
	alice.Sync()
	_ = bob.Conn.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, resource := range []string{"b", "w"} {
		n := 0
		for _, e := range m.events {
			if e == "returned "+resource {
				n++
			}
		}
		if n != 1 {
			t.Errorf("told %d times that session %s is gone: %v", n, resource, m.events)
		}
	}
	if i := slices.Index(m.events, "returned b"); i < 3 {
		t.Errorf("told before all was returned: %v", m.events)
	}
}
