package xmppd_test

import (
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/im"
)

// shownAgain has somebody, who is no contact of two others and shows them presence all the same, be cut off from them,
// and returns what the two have got while that was so, and afterwards.
func shownAgain(t *testing.T, f im.Faults) (during, after [2]string) {
	t.Helper()
	n := new(broken)
	o := n.options()
	o.own.IM = f
	n.x = startTrio(t, o)
	x := n.x
	a := x.at(t, 2, "alice", "a")
	to := [2]*client{x.at(t, 0, "bob", "b"), x.at(t, 1, "carol", "c")}
	a.Send("<presence to='bob@" + domain + "/b'><show>dnd</show></presence><presence to='carol@" + domain + "'><show>away</show></presence>")
	to[0].Want("<show>dnd</show>")
	to[1].Want("<show>away</show>")
	n.set(true)
	for i := range to {
		eventually(t, "who was there is told to be gone", func() bool {
			during[i] += to[i].Sync()
			return strings.Contains(during[i], "unavailable")
		})
	}
	n.set(false)
	x.whole(t)
	for i, jid := range []string{"bob@" + domain + "/b", "carol@" + domain + "/c"} {
		eventually(t, "who is there again can be heard", func() bool {
			a.Send("<message to='" + jid + "' type='chat'><body>again</body></message>")
			after[i] += to[i].Sync()
			return strings.Contains(after[i], "again") && (f.KeepDirect || strings.Contains(after[i], "<show>"))
		})
	}
	return during, after
}

// TestDirectedTogether: directed presence of a session whose server is cut off is taken back, and there again with
// the server.
func TestDirectedTogether(t *testing.T) {
	during, after := shownAgain(t, im.Faults{})
	for i, show := range []string{"<show>dnd</show>", "<show>away</show>"} {
		if strings.Count(during[i], "type='unavailable'") != 1 || strings.Contains(during[i], "<show>") {
			t.Errorf("while it was cut off: %s", during[i])
		}
		if strings.Count(after[i], show) != 1 || strings.Contains(after[i], "unavailable") {
			t.Errorf("when it was back: %s", after[i])
		}
	}
}

func TestDirectedNoticesFaults(t *testing.T) {
	if _, after := shownAgain(t, im.Faults{KeepDirect: true}); strings.Contains(after[0]+after[1], "<presence") {
		t.Errorf("shown again all the same: %s", after)
	}
}

// endedTogether removes an account at one server, and reports whether its session on another one has ended.
func endedTogether(t *testing.T, f im.Faults) bool {
	t.Helper()
	x := startTrio(t, trioOptions{own: xmppd.Together{IM: f}})
	c := x.at(t, 1, "carol", "c")
	if err := x.servers[0].Accounts().Delete(t.Context(), "carol"); err != nil {
		t.Fatal(err)
	}
	x.quiet(t)
	if f.EndHere {
		c.Sync()
		return false
	}
	return strings.Contains(c.Rest(), "<not-authorized")
}

// TestRemovedTogether: the sessions of an account that is removed end on all servers.
func TestRemovedTogether(t *testing.T) {
	if !endedTogether(t, im.Faults{}) {
		t.Error("a session goes on at another server")
	}
	if endedTogether(t, im.Faults{EndHere: true}) {
		t.Error("the planted bug is not noticed")
	}
}

// TestBlockListTogether: a change of a block list is pushed to the clients on all servers.
func TestBlockListTogether(t *testing.T) {
	x := startTrio(t, trioOptions{})
	one, two := x.at(t, 0, "alice", "a"), x.at(t, 1, "alice", "b")
	two.Send("<iq type='get' id='list'><blocklist xmlns='urn:xmpp:blocking'/></iq>")
	two.Want("id='list'")
	one.Send("<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='bob@" + domain + "'/></block></iq>")
	one.Want("id='b'")
	two.Want("<block xmlns='urn:xmpp:blocking'><item jid='bob@" + domain + "'/></block>")
	one.Send("<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'/></iq>")
	one.Want("id='u'")
	two.Want("<unblock xmlns='urn:xmpp:blocking'")
}
