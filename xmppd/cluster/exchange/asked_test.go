package exchange

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/cluster/clustertest"
	"github.com/rosterdb/rosterdb/xmppd/cluster/directory"
	"github.com/rosterdb/rosterdb/xmppd/cluster/link"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// keeper keeps messages, as offline does, and calls back before it is done with one.
type keeper struct{ kept func(id string) }

func (*keeper) Info() module.Info      { return module.Info{Name: "keeper"} }
func (*keeper) Features() []string     { return nil }
func (*keeper) Routes() []module.Route { return nil }

func (k *keeper) Extend(e *module.Extension) {
	e.MessageDelivered = func(_ context.Context, _ stanza.JID, p *module.Passage, _ []*session.Session) bool {
		k.kept(p.Stanza.AttrString(p.Stanza.ID))
		return true
	}
}

// far is another server: a link, a directory, and what comes there for its sessions.
type far struct {
	mesh *link.Mesh
	dir  *directory.Directory
	mu   sync.Mutex
	got  []string
}

func (f *far) Send(to string, frame []byte) error { return f.mesh.Send(to, Directory, frame) }

func (f *far) receive(_ string, frame []byte) {
	_, s, err := cut(frame)
	if err != nil {
		return
	}
	if p, err := s.passage(new(session.Batch)); err == nil {
		f.mu.Lock()
		f.got = append(f.got, p.Stanza.AttrString(p.Stanza.ID))
		f.mu.Unlock()
	}
}

func (f *far) heard() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) { // between looks
		if time.Now().After(end) {
			t.Fatal("something is under way for ever")
		}
	}
}

// joined is an exchange, whose lanes don't run yet, with a link to another server. Its directory never comes to rest, so that it
// always asks.
func joined(t *testing.T, f Faults, k *keeper) (*Exchange, *far) {
	t.Helper()
	log, table, ca := slog.New(slog.DiscardHandler), session.NewTable(), clustertest.New(t)
	var x *Exchange
	b := new(far)
	up := make(chan struct{}, 2)
	mesh := func(name string, f func()) *link.Mesh {
		return link.New(link.Config{
			Name: name, Cluster: "c", Incarnation: 1, Certificate: ca.Sign(t, name), Authority: ca.Pool, Silence: time.Minute, Log: log,
			Up: func(string, uint64) { f(); up <- struct{}{} },
		})
	}
	still := func() time.Time { return time.Unix(1, 0) }
	a := mesh("a", func() { x.tellServers() })
	x = New(Config{Self: "a", Mesh: a, Table: table, Log: log, Router: router.New("d", table, log, router.Faults{}), Faults: f})
	x.dir = directory.New(directory.Config{Self: "a", Links: dirLinks{a}, Log: log, Now: still, Conflict: x.conflict})
	a.Handle(Directory, link.Handler{Receive: x.dir.Receive})
	if err := x.cfg.Router.Add(k); err != nil {
		t.Fatal(err)
	}
	b.mesh = mesh("b", func() { b.dir.Servers([]string{"a"}) })
	b.dir = directory.New(directory.Config{Self: "b", Links: b, Log: log, Now: still, Conflict: func(string, string) {}})
	b.mesh.Handle(Directory, link.Handler{Receive: b.dir.Receive})
	b.mesh.Handle(Stanzas, link.Handler{Receive: b.receive})
	var peers []link.Peer
	for _, m := range []*link.Mesh{a, b.mesh} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		m.Start(l)
		peers = append(peers, link.Peer{Name: string(rune('a' + len(peers))), Addr: l.Addr().String()})
	}
	a.SetPeers(peers)
	b.mesh.SetPeers(peers)
	<-up
	<-up
	return x, b
}

// TestAnswersAreNotForWhatComesLater: the receiver is nowhere when the first message is looked at, and at another server before that
// is kept: all that come meanwhile go there, in order, with a question for so many of them at most.
func TestAnswersAreNotForWhatComesLater(t *testing.T) {
	const later = 3*maxSettled + 8
	for _, planted := range []bool{false, true} {
		var kept []string // of the lane
		send, begin := func(int) {}, func() {}
		x, b := joined(t, Faults{KeepAnswer: planted}, &keeper{func(id string) {
			if kept = append(kept, id); len(kept) == 1 {
				begin()
			}
		}})
		send = func(n int) {
			s := stored{to: "u@d/r", raw: fmt.Appendf(nil, "<message from='v@d/q' to='u@d/r' type='chat' id='%d'><body>x</body></message>", n)}
			p, err := s.passage(new(session.Batch))
			if err != nil {
				t.Fatal(err)
			}
			if taken, err := x.Pass(p); !taken || err != nil {
				t.Errorf("message %d: %v, %v", n, taken, err)
			}
		}
		begin = func() {
			b.dir.Set("u@d", []directory.Session{{Resource: "r", Bound: 1}})
			for n := range later {
				send(n + 1)
			}
		}
		x.Start()
		send(0)
		await(t, x.Idle)
		had := slices.Clone(kept) // not what comes back when the link ends
		await(t, func() bool { return len(b.heard())+len(had) > later })
		got := b.heard()
		x.cfg.Mesh.Close()
		b.mesh.Close()
		x.Close()
		if went := len(had) == 1 && len(got) == later; went == planted {
			t.Errorf("planted %v: %d are kept, %d came to the other server", planted, len(had), len(got))
		}
		for i, id := range append(had, got...) {
			if id != fmt.Sprint(i) {
				t.Errorf("planted %v: %s in the place of %d", planted, id, i)
			}
		}
		if n := x.counts.Asked.Load(); !planted && n != 5 {
			t.Errorf("asked %d times", n)
		}
		for _, l := range x.lanes {
			if l.bytes != 0 || len(l.asked) != 0 {
				t.Errorf("%d bytes wait in the end, for %d accounts", l.bytes, len(l.asked))
			}
		}
	}
}
