package xmppd_test

import (
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
)

// TestSessionsPerAccountTogether: the limit counts the sessions on all servers; a resource that is bound on another
// one makes room for itself.
func TestSessionsPerAccountTogether(t *testing.T) {
	x := startTrio(t, trioOptions{cfg: func(c *xmppd.Config) { c.Limits.SessionsPerAccount = 2 }})
	a := x.at(t, 0, "alice", "a")
	x.at(t, 1, "alice", "b")
	c, got := bindAs(t, x.servers[2], "alice", "c")
	if !strings.Contains(got, "<resource-constraint ") {
		t.Fatalf("a third session, on a third server: %q", got)
	}
	if got := c.bindAgain("b"); !strings.Contains(got, "/b</jid>") {
		t.Errorf("a resource that is bound on another server: %q", got)
	}
	x.quiet(t)
	if _, got := bindAs(t, x.servers[0], "alice", "d"); !strings.Contains(got, "<resource-constraint ") {
		t.Errorf("a third session, on the first server: %q", got)
	}
	x.leave(t, a)
	if _, got := bindAs(t, x.servers[1], "alice", "e"); !strings.Contains(got, "/e</jid>") {
		t.Errorf("after one has gone: %q", got)
	}
}

// TestSessionsPerAccountNoticesFaults: who counts only what is at one server lets a third session in.
func TestSessionsPerAccountNoticesFaults(t *testing.T) {
	x := startTrio(t, trioOptions{own: xmppd.Together{CountHere: true}, shared: true, cfg: func(c *xmppd.Config) { c.Limits.SessionsPerAccount = 2 }})
	x.at(t, 0, "alice", "a")
	x.at(t, 1, "alice", "b")
	if _, got := bindAs(t, x.servers[2], "alice", "c"); strings.Contains(got, "<resource-constraint ") {
		t.Errorf("the planted bug is not noticed: %q", got)
	}
}
