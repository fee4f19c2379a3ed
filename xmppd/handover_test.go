package xmppd_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/cluster/handover"
)

// Kinds of frames of a handover (package handover).
const (
	kindOffer  = 5
	kindCommit = 8
)

// moving is a session of bob that is resumed on another server.
type moving struct {
	x             *trio
	alice, carol  *client // at the second server, and at the giver
	bob           *smClient
	offered, goOn chan struct{}
}

// startMoving has bob at the first server, with three messages that he has got and not acknowledged, and three
// that came when his connection was lost.
func startMoving(t *testing.T, f handover.Faults) *moving {
	t.Helper()
	m := &moving{offered: make(chan struct{}), goOn: make(chan struct{})}
	cut := f.Cut
	f.Cut = func(kind byte) bool {
		if kind == kindOffer {
			select {
			case <-m.goOn: // a second handover
			default:
				close(m.offered)
				<-m.goOn
			}
		}
		return cut != nil && cut(kind)
	}
	m.x = startTrio(t, trioOptions{own: xmppd.Together{Handover: f}, shared: true})
	m.bob = enable(login(t, m.x.servers[0], "bob", "b"), "max='77'")
	m.bob.Send("<presence/>")
	m.bob.Sync()
	m.alice, m.carol = m.x.at(t, 1, "alice", "a"), m.x.at(t, 0, "carol", "c")
	for i := range 3 {
		m.alice.Send(toBob(i))
	}
	m.bob.Want("<body>2</body></message>")
	_ = m.bob.Conn.Close()
	for i := 3; i < 6; i++ {
		m.alice.Send(toBob(i))
	}
	m.alice.Sync()
	m.x.quiet(t)
	return m
}

func toBob(i int) string { return xmppraw.Message("bob@"+domain+"/b", fmt.Sprint(i)) }

// resume has bob resume at a server, with one more message while his session is on its way. Of presence, the
// answer to Sync and three messages he has handled three.
func (m *moving) resume(t *testing.T, server int) (*client, string) {
	t.Helper()
	back := authenticated(t, m.x.servers[server], "bob")
	back.Send(fmt.Sprintf("<resume xmlns='%s' h='3' previd='%s'/>", nsSM, m.bob.id))
	select {
	case <-m.offered:
	case <-t.Context().Done():
	}
	m.carol.Send(toBob(6))
	m.carol.Sync()
	close(m.goOn)
	got := back.Want("<resumed ", "</failed>", "</stream:stream>")
	return back, got
}

// rest are the messages that bob gets until one from each of the others has come that is sent now.
func (m *moving) rest(back *client) []string {
	m.carol.Send(toBob(7))
	m.carol.Sync()
	m.alice.Send(toBob(8))
	return bodies(back.Want("<body>8</body>"))
}

// TestResumptionElsewhere: a client goes on at a server that has never heard of its session, and everything is
// there, once and in order: what it has not acknowledged, what comes during the move, and what comes behind it.
// Nobody sees it leave, and it can move on.
func TestResumptionElsewhere(t *testing.T) {
	m := startMoving(t, handover.Faults{})
	back, got := m.resume(t, 2)
	if got += back.Want("/>"); !strings.Contains(got, "<resumed ") || !strings.Contains(got, "h='2'") || !strings.Contains(got, "previd='"+m.bob.id+"'") {
		t.Fatalf("resumed: %s", got)
	}
	if got := m.rest(back); strings.Join(got, "") != "12345678" {
		t.Errorf("behind the resumption: %q", got)
	}
	back.Send(xmppraw.Message("alice@"+domain+"/a", "here again") + xmppraw.Message("carol@"+domain+"/c", "here again"))
	for _, c := range []*client{m.alice, m.carol} {
		if got := c.Want("<body>here again</body>"); !strings.Contains(got, "from='bob@"+domain+"/b'") || strings.Contains(got, "unavailable") {
			t.Errorf("from the resumed session: %s", got)
		}
	}
	eventually(t, "one server has the session", func() bool { return m.having() == 1 })
	for i, want := range []uint64{0, 0, 1} {
		if n := m.x.servers[i].Handover().Counts().In.Load(); n != want {
			t.Errorf("server %d has taken over %d sessions, want %d", i+1, n, want)
		}
	}
	// From the one that it moved to, whose connection still lives, to the next, and home.
	h := 11
	for i, server := range []int{1, 0} {
		next := authenticated(t, m.x.servers[server], "bob")
		if got := next.resume(m.bob.id, h); !strings.Contains(got, "<resumed ") || !strings.Contains(got, fmt.Sprintf("h='%d'", 4+i)) {
			t.Fatalf("move %d: %s", i, got)
		}
		next.Send("<presence><status>moved</status></presence><r xmlns='" + nsSM + "'/>")
		if got := next.Want("<a ") + next.Want("/>"); !strings.Contains(got, fmt.Sprintf("h='%d'", 5+i)) {
			t.Errorf("move %d: acknowledged: %s", i, got)
		}
		m.carol.Send(toBob(20 + i))
		m.alice.Send(toBob(30 + i))
		got := bodies(next.Want(fmt.Sprintf("<body>%d</body>", 20+i), fmt.Sprintf("<body>%d</body>", 30+i)) + next.Want("</message>") + next.Want("</message>"))
		if slices.Sort(got); strings.Join(got, " ") != fmt.Sprintf("%d %d", 20+i, 30+i) {
			t.Errorf("move %d: %q", i, got)
		}
		h += 2
		if got := back.Rest(); !strings.Contains(got, "<conflict ") || strings.Contains(got, "<body>2") {
			t.Errorf("the connection that the session has left got %q", got)
		}
		back = next
	}
}

// TestHandoverFaults plants bugs; what a client gets tells of each.
func TestHandoverFaults(t *testing.T) {
	for name, f := range map[string]handover.Faults{"forget unacknowledged": {ForgetUnacked: true}, "lose what comes": {LoseLater: true}} {
		t.Run(name, func(t *testing.T) {
			m := startMoving(t, f)
			back, got := m.resume(t, 2)
			if strings.Contains(got, "<handled-count-too-high ") {
				return // it has acknowledged what this server does not know
			}
			eventually(t, "one server has the session", func() bool { return m.having() == 1 })
			if got := m.rest(back); strings.Join(got, "") == "12345678" {
				t.Errorf("not noticed: %q", got)
			}
		})
	}
	t.Run("both keep it", func(t *testing.T) {
		m := startMoving(t, handover.Faults{KeepBoth: true})
		back, got := m.resume(t, 2)
		// The directory ends one of the two, which gives back what it has kept.
		eventually(t, "that is noticed", func() bool {
			got += back.Sync()
			return m.x.servers[0].Handover().Counts().Failed.Load() == 1 && (m.having() > 1 || strings.Contains(got, "Offline Storage"))
		})
	})
}

// having counts the servers that have the session.
func (m *moving) having() (n int) {
	for _, s := range m.x.servers {
		if s.Has("bob", m.bob.id) {
			n++
		}
	}
	return n
}

// TestHandoverCutOff: a handover that breaks off at any word leaves the session where it was, and a second
// attempt finds all of it.
func TestHandoverCutOff(t *testing.T) {
	for _, never := range []bool{false, true} {
		for kind := byte(3); kind <= kindCommit; kind++ {
			if kind == 6 || kind == 7 || never && kind != kindCommit {
				continue // words of the taker
			}
			t.Run(fmt.Sprintf("kind %d, never back: %v", kind, never), func(t *testing.T) {
				t.Parallel()
				var mended atomic.Bool
				m := startMoving(t, handover.Faults{NeverBack: never, Cut: func(k byte) bool { return k == kind && !mended.Load() }})
				if kind < kindOffer { // it does not come to an offer: nothing to wait for
					close(m.offered)
				}
				back, got := m.resume(t, 2)
				if !strings.Contains(got, "<item-not-found ") {
					t.Fatalf("after a handover that was cut off: %s", got)
				}
				if n := m.having(); never == (n == 1) {
					t.Errorf("%d servers have the session", n)
				}
				if never {
					return
				}
				mended.Store(true)
				if got := back.resume(m.bob.id, 3); !strings.Contains(got, "<resumed ") {
					t.Fatalf("second attempt: %s", got)
				}
				if got := m.rest(back); strings.Join(got, "") != "12345678" {
					t.Errorf("second attempt: %q", got)
				}
			})
		}
	}
}

// TestResumptionOfNothing: that a session is nowhere, or somebody else's, is told at once.
func TestResumptionOfNothing(t *testing.T) {
	x := startTrio(t, trioOptions{})
	bob := enable(x.at(t, 0, "bob", "b"), "")
	bob.Sync()
	alice := x.at(t, 0, "alice", "a")
	for name, id := range map[string]string{"unknown": "x", "somebody else's": bob.id} {
		c := authenticated(t, x.servers[1], "alice")
		if got := c.resume(id, 0); !strings.Contains(got, "<item-not-found ") {
			t.Errorf("%s: %s", name, got)
		}
		c.Bind(name[:1])
		c.Sync()
	}
	alice.Sync()
	bob.Sync()
}
