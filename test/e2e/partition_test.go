package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
)

// TestOneWayBroken breaks the way between two of three servers, which both still reach the third: for both directions, and
// then for one only, so that the other one's packets arrive. Those two are cut off from each other and from nobody else; all is
// as it was by itself afterwards, nobody is there who has left, and each message was delivered once, kept, or came back.
func TestOneWayBroken(t *testing.T) {
	sv := harness.StartServers(t, binary, harness.ServersOptions{
		N: 3, Switch: harness.NewSwitch(t), Group: []string{"alice", "bob", "carol", "erin"},
	})
	x1, x2, x3 := sv.All[0], sv.All[1], sv.All[2]
	bob, carol := harness.Listen(x2.Online(t, "bob", "b")), harness.Listen(x3.Login(t, "carol", "c"))
	carol.Send("<presence/>") // she listens before, so as to count bob's coming, too
	carol.Await(t, "from='"+bob.JID+"'", 1)
	alice := harness.Listen(x1.Login(t, "alice", "a"))
	alice.Send("<presence/>")
	alice.Await(t, "from='"+bob.JID+"'", 1)
	sv.Quiet()
	across := []*harness.Ledger{harness.Keep("to", alice, bob.JID), harness.Keep("from", bob, alice.JID)}
	beside := []*harness.Ledger{harness.Keep("left", carol, alice.JID), harness.Keep("right", carol, bob.JID)}
	across[0].More(t, 20)
	for _, c := range []struct {
		what  string
		sever func(bool)
	}{
		{"both directions", func(on bool) { x1.Part(x2, on) }},
		{"one direction", func(on bool) { x1.Lose(x2, on) }},
	} {
		erin := x2.Online(t, "erin", "e")
		await(t, alice, erin.JID, "comes", func(came, left int) bool { return came == left+1 })
		_, before := seen(alice, bob.JID)
		began := time.Now()
		c.sever(true)
		x1.Sees(t, 1)
		x2.Sees(t, 1)
		x3.Sees(t, 2)
		t.Logf("%s: cut off after %v", c.what, time.Since(began).Round(time.Millisecond))
		await(t, alice, bob.JID, "goes", func(_, left int) bool { return left > before })
		erin.Send("</stream:stream>")
		erin.End()
		across[0].More(t, 20)
		across[1].More(t, 20)
		began = time.Now()
		c.sever(false)
		sv.Whole()
		t.Logf("%s: whole again after %v", c.what, time.Since(began).Round(time.Millisecond))
		await(t, alice, bob.JID, "is there again", func(came, left int) bool { return came == left+1 })
		across[0].More(t, 20)
	}
	for _, l := range append(across, beside...) {
		l.Stop()
	}
	sv.Quiet()
	if came, left := seen(carol, bob.JID); came != left+1 {
		t.Errorf("carol, whose server reached all, saw bob come %d times and go %d times", came, left)
	}
	alice.Send("<iq type='get' id='ghost' to='erin@" + harness.Domain + "/e'><query xmlns='jabber:iq:version'/></iq>")
	alice.Await(t, "id='ghost'", 1)
	if alice.Count("<service-unavailable") == 0 {
		t.Error("who has left is asked all the same")
	}
	if n := sv.Sum("xmppd_sessions"); n != 3 {
		t.Errorf("%v sessions, not 3", n)
	}
	later := map[string][]*harness.Ear{"alice": append(sv.Later("alice"), alice), "bob": append(sv.Later("bob"), bob)}
	across[0].Settle(t, later["bob"]...)
	across[1].Settle(t, later["alice"]...)
	for i, to := range []string{"alice", "bob"} {
		beside[i].Settle(t, later[to]...)
	}
}

// await waits until somebody has seen a client come and go as often as wanted.
func await(t *testing.T, e *harness.Ear, full, what string, wanted func(came, left int) bool) {
	t.Helper()
	harness.Eventually(t, harness.Patience, full+" "+what, func() bool { return wanted(seen(e, full)) })
}

// seen counts the presence of a full JID that somebody has heard: available and unavailable.
func seen(e *harness.Ear, full string) (came, left int) {
	for _, p := range strings.Split(e.Heard(), "<presence")[1:] {
		head, _, _ := strings.Cut(p, ">")
		switch {
		case !strings.Contains(head, "from='"+full+"'"):
		case strings.Contains(head, "type='unavailable'"):
			left++
		case !strings.Contains(head, " type='"):
			came++
		}
	}
	return came, left
}
