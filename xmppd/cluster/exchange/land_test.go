package exchange

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/cluster/link"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// sink is the transport of a client that takes everything.
type sink struct {
	got    string
	writes int
}

func (s *sink) TryWrite(p []byte) (int, bool, error) {
	s.got += string(p)
	s.writes++
	return len(p), false, nil
}

func (*sink) Finish() (int, error) { return 0, nil }
func (*sink) Abort()               {}

// alone is the exchange of a server that knows no other, with one session, and what its client gets.
func alone(t *testing.T, f Faults, client stanza.JID, queue int) (*Exchange, *sink) {
	t.Helper()
	log, table, out := slog.New(slog.DiscardHandler), session.NewTable(), new(sink)
	x := New(Config{
		Self: "a", Mesh: link.New(link.Config{Name: "a", Log: log}), Table: table, Log: log,
		Router: router.New("d", table, log, router.Faults{}), Faults: f, Lost: func(string) bool { return true },
	})
	x.cfg.IM = im.New(nil, table, x.cfg.Router, im.Limits{}, im.Policy{}, log, im.Faults{})
	t.Cleanup(x.cfg.IM.Close)
	s := session.New(client)
	s.Out.Init(new(session.Pool), out, queue, func(func()) bool { return false })
	if _, err := table.Bind(s, session.Rule{}); err != nil {
		t.Fatal(err)
	}
	return x, out
}

// TestDirect: what has come together for a session is written at once, without waiting for a lane; but for what would
// overtake something of its account that waits. The lanes don't run until the end, so that it is known what waits.
func TestDirect(t *testing.T) {
	for _, planted := range []bool{false, true} {
		x, out := alone(t, Faults{Overtake: planted}, stanza.JID{Local: "u", Domain: "d", Resource: "r"}, 1<<20)
		var want [5]string
		come := func(n int) {
			want[n] = fmt.Sprintf("<message from='v@d/q' to='u@d/r' id='%d'/>", n)
			x.receive("b", append(appendHead(nil, kindRoute, 1, "u@d/r"), want[n]...))
		}
		come(0)
		come(1)
		if out.writes > 0 {
			t.Error("written before all that had come together was looked at")
		}
		x.landed("b")
		if out.got != want[0]+want[1] || out.writes != 1 {
			t.Errorf("%d writes of %q", out.writes, out.got)
		}
		done := false
		x.Do("u@d", func(context.Context, *session.Batch) { done = true })
		come(2)
		come(3)
		x.landed("b")
		if early := out.writes > 1; early != planted {
			t.Errorf("planted %v, something overtakes %v: %q", planted, early, out.got)
		}
		x.Start()
		x.Close()
		if all := want[0] + want[1] + want[2] + want[3]; out.got != all || !done {
			t.Errorf("in the end %q, want %q", out.got, all)
		}
		if n := x.Counts().Arrived.Load(); n != 4 {
			t.Errorf("%d stanzas are counted", n)
		}
	}
}

// TestDirectOnlyStanzas: what the router has not seen as a message or an IQ for a session that is here takes the long way.
func TestDirectOnlyStanzas(t *testing.T) {
	table := session.NewTable()
	r := router.New("d", table, slog.New(slog.DiscardHandler), router.Faults{})
	s, out := session.New(stanza.JID{Local: "u", Domain: "d", Resource: "r"}), new(sink)
	s.Out.Init(new(session.Pool), out, 1<<20, func(func()) bool { return false })
	if _, err := table.Bind(s, session.Rule{}); err != nil {
		t.Fatal(err)
	}
	var b session.Batch
	for raw, want := range map[string]bool{
		"<message/>": true, "<message id='1'/>": true, "<iq\tid='1' type='result'/>": true,
		"<messages/>": false, "<presence/>": false, "<x:message xmlns:x='jabber:client'/>": false, "<iq": false, "": false,
	} {
		if got := r.Land([]byte("u@d/r"), []byte(raw), &b); got != want {
			t.Errorf("%q: %v", raw, got)
		}
	}
	if r.Land([]byte("u@d/q"), []byte("<message/>"), &b) {
		t.Error("for a session that is not here")
	}
}
