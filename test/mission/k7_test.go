package mission

import (
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
)

// checkPartition cuts one of three servers off the network, without its noticing by the link, and puts it back:
// all is as it was by itself, nothing that was sent meanwhile has vanished or was doubled, of a resource that
// was bound on both sides the later one stays, and nobody is there who has left.
func checkPartition(t *testing.T) {
	sv := harness.StartServers(t, binary, harness.ServersOptions{
		N: 3, Switch: harness.NewSwitch(t), Group: []string{"alice", "bob", "carol", "dave", "erin"},
	})
	x1, x2, x3 := sv.All[0], sv.All[1], sv.All[2]
	carol, erin := harness.Listen(x3.Online(t, "carol", "c")), x3.Online(t, "erin", "e")
	carol.Send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
	carol.Await(t, "id='roster'", 1)
	bob, dave := harness.Listen(x2.Online(t, "bob", "b")), harness.Listen(x3.Online(t, "dave", "d"))
	alice := harness.Listen(x1.Login(t, "alice", "a"))
	alice.Send("<presence/>")
	alice.Await(t, "from='"+carol.JID+"'", 1)
	sv.Quiet()
	to, from, beside := harness.Keep("to", alice, carol.JID), harness.Keep("from", carol, alice.JID), harness.Keep("beside", bob, alice.JID)
	to.More(t, 20)

	began := time.Now()
	x3.Cut(true)
	x1.Sees(t, 1)
	x2.Sees(t, 1)
	x3.Sees(t, 0)
	t.Logf("cut off after %v", time.Since(began).Round(time.Millisecond))
	harness.Eventually(t, harness.Patience, "alice sees carol go", func() bool {
		_, gone := presences(alice.Heard(), carol.JID)
		return gone > 0
	})
	erin.Send("</stream:stream>")
	erin.End()
	dave2 := harness.Listen(x2.Online(t, "dave", "d")) // here is a majority of the records, too
	elsewhere := x1.Login(t, "carol", "elsewhere")
	elsewhere.Send("<iq type='set' id='met'><query xmlns='jabber:iq:roster'><item jid='met@example.org'/></query></iq>")
	elsewhere.Want("id='met'")
	elsewhere.Send("</stream:stream>")
	elsewhere.End()
	to.More(t, 50)
	from.More(t, 50)

	began = time.Now()
	x3.Cut(false)
	sv.Whole()
	t.Logf("whole again after %v", time.Since(began).Round(time.Millisecond))
	dave.Await(t, "<conflict", 1)
	carol.Await(t, "jid='met@example.org'", 1) // a push of what was changed where she was not
	harness.Eventually(t, harness.Patience, "alice sees carol again", func() bool {
		there, gone := presences(alice.Heard(), carol.JID)
		return there >= 2 && there == gone+1
	})
	to.More(t, 20)
	for _, l := range []*harness.Ledger{to, from, beside} {
		l.Stop()
	}
	sv.Quiet()
	if there, gone := presences(alice.Heard(), carol.JID); there != gone+1 {
		t.Errorf("alice saw carol come %d times and go %d times", there, gone)
	}
	alice.Send("<message type='chat' to='" + dave2.JID + "'><body>who stays</body></message>")
	dave2.Await(t, "who stays", 1)
	alice.Send("<iq type='get' id='ghost' to='" + erin.JID + "'><query xmlns='jabber:iq:version'/></iq>")
	alice.Await(t, "id='ghost'", 1)
	if alice.Count("<service-unavailable") == 0 {
		t.Error("who has left is asked all the same")
	}
	if sessions := sv.Sum("xmppd_sessions"); sessions != 4 {
		t.Errorf("%v sessions, not 4", sessions)
	}
	to.Settle(t, append(sv.Later("carol"), carol)...)
	later := append(sv.Later("alice"), alice)
	from.Settle(t, later...)
	beside.Settle(t, later...)
}
