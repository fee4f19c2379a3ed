package mission

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// checkExactlyOnceAcross counts presence, roster pushes, carbons, kept messages and conflicts over three
// servers, one by one.
func checkExactlyOnceAcross(t *testing.T) {
	const n = 10
	sv := harness.StartServers(t, binary, harness.ServersOptions{
		N: 3, Group: []string{"alice", "bob", "carol"}, Users: []string{"dave", "erin", "frank", "grace"},
		Config: "[modules.archive]\ndefault = \"always\"",
	})
	x1, x2, x3 := sv.All[0], sv.All[1], sv.All[2]
	enter := func(m *harness.Member, user, resource string) *harness.Ear {
		e := harness.Listen(m.Login(t, user, resource))
		e.Send("<presence/><iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
		e.Await(t, "id='roster'", 1)
		sv.Quiet()
		return e
	}
	alice, carol := enter(x1, "alice", "a"), enter(x3, "carol", "c")
	b1, b2 := enter(x2, "bob", "b1"), enter(x3, "bob", "b2")
	a2 := enter(x2, "alice", "a2")
	for _, e := range []*harness.Ear{a2, b2} {
		e.Send("<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
		e.Await(t, "id='carbons'", 1)
	}

	for i := range n {
		alice.Send(fmt.Sprintf("<presence><status>presence %d.</status></presence>", i))
		b1.Send(fmt.Sprintf("<iq type='set' id='set%d'><query xmlns='jabber:iq:roster'><item jid='push%d@example.org'/></query></iq>", i, i))
		alice.Send(fmt.Sprintf("<message type='chat' to='%s'><body>copied %d.</body></message>", b1.JID, i))
		for _, from := range []*harness.Ear{alice, carol} {
			from.Send(fmt.Sprintf("<message type='chat' to='dave@%s'><body>kept %s %d.</body></message>", harness.Domain, from.JID, i))
		}
	}
	for _, e := range []*harness.Ear{b1, b2, carol} {
		e.Await(t, fmt.Sprintf("presence %d.", n-1), 1)
	}
	b1.Await(t, fmt.Sprintf("id='set%d'", n-1), 1)
	harness.Eventually(t, harness.Patience, "all is kept", func() bool { return sv.Sum("xmppd_offline_stored_total") >= 2*n })
	sv.Quiet()
	once := func(what string, e *harness.Ear) {
		t.Helper()
		if got := e.Count(what); got != 1 {
			t.Errorf("%s got %d times: %s", e.JID, got, what)
		}
	}
	for e, want := range map[*harness.Ear][2]int{a2: {2 * n, 0}, b2: {0, n}} {
		if sent, received := e.Count("<sent xmlns='urn:xmpp:carbons:2'"), e.Count("<received xmlns='urn:xmpp:carbons:2'"); [2]int{sent, received} != want {
			t.Errorf("%s got %d copies of what was sent and %d of what was received, not %v", e.JID, sent, received, want)
		}
	}
	for i := range n {
		once(fmt.Sprintf("<body>copied %d.</body>", i), a2)
		once(fmt.Sprintf("<body>kept %s %d.</body>", alice.JID, i), a2)
		for _, e := range []*harness.Ear{b1, b2, carol} {
			once(fmt.Sprintf("<status>presence %d.</status>", i), e)
		}
		for _, e := range []*harness.Ear{b1, b2} {
			once(fmt.Sprintf("jid='push%d@example.org'", i), e)
			once(fmt.Sprintf("<body>copied %d.</body>", i), e)
		}
	}
	if kept := sv.Sum("xmppd_offline_stored_total"); kept != 2*n {
		t.Errorf("%v messages were kept, not %d", kept, 2*n)
	}
	dave := sv.Later("dave")
	harness.Eventually(t, harness.Patience, "all that was kept is delivered", func() bool { return sv.Sum("xmppd_offline_delivered_total") >= 2*n })
	sv.Quiet()
	for i := range n {
		for _, from := range []*harness.Ear{alice, carol} {
			got := 0
			for _, e := range dave {
				got += e.Count(fmt.Sprintf("<body>kept %s %d.</body>", from.JID, i))
			}
			if got != 1 {
				t.Errorf("message %d of %s was kept, and came %d times", i, from.JID, got)
			}
		}
	}

	conflictsAcross(t, sv, alice, b1)
	archivesAcross(t, sv)
}

// conflictsAcross binds a resource at two servers in turn: each time the session before ends by one conflict, only the last
// one is there, and who looks from a third server sees each come once.
func conflictsAcross(t *testing.T, sv *harness.Servers, alice, last *harness.Ear) {
	t.Helper()
	const n = 9
	before, resets := sv.Sum("xmppd_sessions"), sv.Sum("xmppd_cluster_link_resets_total")
	old := []*harness.Ear{last}
	for i := range n {
		e := harness.Listen(sv.All[2-i%2].Login(t, "bob", "b1"))
		e.Send("<presence/>")
		old[i].Await(t, "<conflict", 1)
		harness.Eventually(t, harness.Patience, "the session that has lost its resource ends", old[i].Ended)
		old = append(old, e)
		alice.Send(fmt.Sprintf("<message type='chat' to='%s'><body>to the new one %d.</body></message>", e.JID, i))
		e.Await(t, fmt.Sprintf("to the new one %d.", i), 1)
	}
	sv.Quiet()
	for i, e := range old {
		conflicts, mine := e.Count("<conflict"), e.Count("<body>to the new one")
		if i == 0 { // it was there when there was another one to lose
			mine++
		}
		if want := 1; conflicts != want && i < n || mine != 1 || i == n && conflicts != 0 {
			t.Errorf("session %d of %s: %d conflicts, %d messages", i, e.JID, conflicts, mine)
		}
	}
	if now := sv.Sum("xmppd_sessions"); now != before {
		t.Errorf("%v sessions, then %v", before, now)
	}
	// Presence of the new session may come before the end of the old one, which is told nobody any more then. Who was cut
	// off for a moment, as on a machine that stands still, tells all once more.
	resets = sv.Sum("xmppd_cluster_link_resets_total") - resets
	if there, gone := presences(alice.Heard(), last.JID); there < n+1 || there > n+1+int(resets) || gone > n+int(resets) {
		t.Errorf("alice saw %d sessions of %s come %d times and go %d times; links broken meanwhile: %v", n+1, last.JID, there, gone, resets)
	}
	t.Logf("%d sessions of one resource, one after the other; links broken meanwhile: %v", n+1, resets)
	if all := alice.Heard(); strings.LastIndex(all, "from='"+last.JID+"'/>") < strings.LastIndex(all, "from='"+last.JID+"' type='unavailable'") {
		t.Error("alice thinks that who is there has gone")
	}
}
