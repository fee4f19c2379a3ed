package xmppd_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

// TestDrain: a server that is drained takes nobody, its sessions wait for their clients elsewhere with all that
// they had not acknowledged, and it takes clients again when that is cancelled.
func TestDrain(t *testing.T) {
	x := startTrio(t, trioOptions{})
	bob, alice := x.chatting(t, 0)
	plain := login(t, x.servers[0], "carol", "c")
	eventually(t, "all servers are up", func() bool { return x.in("up") == 3 })
	name, err := x.servers[1].AskToDrain("x1", true)
	if err != nil || name != "x1" {
		t.Fatal(name, err)
	}
	if got := plain.Rest(); !strings.Contains(got, "<system-shutdown ") {
		t.Errorf("a client without stream management got %q", got)
	}
	if got := bob.Rest(); !strings.Contains(got, "<system-shutdown ") {
		t.Errorf("a client with stream management got %q", got)
	}
	eventually(t, "the server is drained", func() bool { return x.in("drained") == 1 })
	alice.Send(toBob(2))
	back := authenticated(t, x.servers[2], "bob")
	if got := back.resume(bob.id, 3); !strings.Contains(got, "<resumed ") {
		t.Fatal(got)
	}
	if got := bodies(back.Want("<body>2</body>")); strings.Join(got, "") != "12" {
		t.Errorf("behind the resumption: %q", got)
	}
	addr, _, _ := x.servers[0].Addrs()
	refused := xmppraw.Connect(t, addr)
	refused.Open()
	refused.Send("<auth xmlns='" + xmppraw.NSSASL + "' mechanism='PLAIN'>" + xmppraw.Plain("bob", password) + "</auth>")
	if got := refused.Rest(); !strings.Contains(got, "<system-shutdown ") {
		t.Errorf("a login at a server that is drained: %q", got)
	}
	if _, err := x.servers[0].AskToDrain("", false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all servers are up again", func() bool { return x.in("up") == 3 })
	login(t, x.servers[0], "carol", "c").Sync()
	for _, name := range []string{"x1", "x2"} {
		if _, err := x.servers[2].AskToDrain(name, true); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "two are drained", func() bool { return x.in("drained") == 2 })
	for _, s := range x.servers { // whoever is asked
		if _, err := s.AskToDrain("x3", true); !errors.Is(err, xmppd.ErrLast) {
			t.Errorf("the last server that is up is drained: %v", err)
		}
	}
}

// TestStopMovesSessions: a server of a cluster hands its sessions over as the first thing when it is stopped.
func TestStopMovesSessions(t *testing.T) {
	x := startTrio(t, trioOptions{})
	bob, alice := x.chatting(t, 2)
	eventually(t, "all servers are up", func() bool { return x.in("up") == 3 })
	x.servers[2].LeaveServers()
	back := authenticated(t, x.servers[0], "bob")
	if got := back.resume(bob.id, 3); !strings.Contains(got, "<resumed ") {
		t.Fatal(got)
	}
	alice.Send(toBob(2))
	if got := bodies(back.Want("<body>2</body>")); strings.Join(got, "") != "12" {
		t.Errorf("behind the resumption: %q", got)
	}
}

// chatting has bob log in at a server, with a stream that can be resumed, and get two messages of alice's, who
// is at the second one. He has acknowledged neither.
func (x *trio) chatting(t *testing.T, server int) (bob *smClient, alice *client) {
	t.Helper()
	bob = enable(login(t, x.servers[server], "bob", "b"), "max='77'")
	bob.Send("<presence/>")
	bob.Sync()
	alice = x.at(t, 1, "alice", "a")
	alice.Send(toBob(0) + toBob(1))
	bob.Want("<body>1</body></message>")
	return bob, alice
}

// in counts the servers that all others know to be in a state.
func (x *trio) in(state string) int {
	least := len(x.servers)
	for _, s := range x.servers {
		n := 0
		st, err := s.ClusterStatus()
		if err != nil {
			return 0
		}
		for _, m := range st.Servers {
			if m.State == state {
				n++
			}
		}
		least = min(least, n)
	}
	return least
}
