package xmppd_test

import (
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
)

// asked has an administrator at the first of three servers, where other sessions are at the others, ask who is on line;
// and somebody whose only session that others see is at another server, when she was on line last.
func asked(t *testing.T, deaf bool) (list, count, last string) {
	t.Helper()
	x := startTrio(t, trioOptions{
		own: xmppd.Together{Deaf: deaf}, shared: true,
		cfg: func(c *xmppd.Config) { c.Modules.Adhoc.Admins = []string{"alice"} },
	})
	admin := x.at(t, 0, "alice", "a")
	x.at(t, 1, "bob", "b")
	x.at(t, 2, "carol", "c")
	list = admin.command("node='"+nsAdmin+"#get-online-users-list'", "")
	count = admin.command("node='"+nsAdmin+"#get-online-users-num'", "")
	silent := login(t, x.servers[0], "carol", "silent")
	return list, count, silent.ask("get", "carol@"+domain, "<query xmlns='jabber:iq:last'/>")
}

// TestAskedTogether: who is on line at any server is told at each.
func TestAskedTogether(t *testing.T) {
	list, count, last := asked(t, false)
	has(t, "the sessions", list, "alice@"+domain+"/a", "bob@"+domain+"/b", "carol@"+domain+"/c", "3 of 3")
	has(t, "their number", count, "<value>3</value>")
	hasNot(t, "all have answered", list+count, "x-silent-servers")
	has(t, "last activity", last, "seconds='0'")
}

// TestAskedNoticesFaults: where no answer is heard, that is said.
func TestAskedNoticesFaults(t *testing.T) {
	list, count, last := asked(t, true)
	has(t, "the sessions", list, "1 of 1", "x-silent-servers", "<value>x2</value><value>x3</value>")
	has(t, "their number", count, "<value>1</value>", "x-silent-servers")
	has(t, "last activity", last, "<remote-server-timeout ")
}
