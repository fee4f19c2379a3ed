package xmppd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
)

const csi = "xmlns='urn:xmpp:csi:0'/>"

// TestClientState: to a client that nobody looks at goes only what is important, with what was held
// before it; the latest presence of each contact counts (XEP-0352).
func TestClientState(t *testing.T) {
	s := startServer(t, options{})
	dn1 := login(t, s, "dn1", "a")
	dn1.Send("<presence/>")
	dn1.Sync()
	dn2 := online(t, s, "dn2", "b")
	dn1.Want("from='dn2@" + domain + "/b'")
	state := func(status string) { dn2.Send("<presence><status>" + status + "</status></presence>") }
	chat := func(payload string) {
		dn2.Send("<message type='chat' to='dn1@" + domain + "/a'>" + payload + "</message>")
	}
	typing := func(what string) { chat("<" + what + " xmlns='http://jabber.org/protocol/chatstates'/>") }

	dn1.Send("<inactive " + csi + "<inactive " + csi)
	dn1.Sync()
	state("one")
	typing("composing")
	dn2.Send("<message type='headline' to='dn1@" + domain + "/a'><event xmlns='http://jabber.org/protocol/pubsub#event'/></message>")
	typing("paused")
	state("two")
	dn2.Sync()
	chat("<body>important</body>")
	got := dn1.Want("<body>important</body>")
	if strings.Contains(got, "one") || strings.Contains(got, "composing") {
		t.Errorf("what was replaced has come: %s", got)
	}
	last := 0
	for _, part := range []string{"pubsub#event", "<paused ", "<status>two</status>", "important"} {
		i := strings.Index(got, part)
		if i < last {
			t.Errorf("%s is missing or out of order: %s", part, got)
		}
		last = max(i, 0)
	}
	// Active again: what is held comes at once.
	state("three")
	dn2.Sync()
	dn1.Send("<active " + csi)
	dn1.Want("<status>three</status>")
	state("four")
	dn1.Want("<status>four</status>")

	dn1.Send("<inactive " + csi)
	dn1.Sync()
	for _, important := range []string{
		"<message type='error' to='%s'><error type='cancel'/></message>", "<message to='%s'><request xmlns='urn:example:call'/></message>",
		"<message to='%s' type='headline'><body>x</body></message>", "<message to='%s'><propose xmlns='urn:xmpp:jingle-message:0' id='x'/></message>",
		"<iq type='result' id='y' to='%s'/>",
	} {
		state("before")
		dn2.Send(fmt.Sprintf(important, "dn1@"+domain+"/a"))
		if got := dn1.Want("<message", "<iq"); !strings.Contains(got, "<status>before</status>") {
			t.Errorf("%s: %s", important, got)
		}
	}
	dn1.Send("<sleepy " + csi)
	if got := dn1.Rest(); !strings.Contains(got, "<unsupported-stanza-type ") {
		t.Errorf("unknown state: %s", got)
	}
}

// TestClientStateBounded: what is held for a client is bounded; then all of it goes out.
func TestClientStateBounded(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Modules.CSI.HeldStanzas = 3 }})
	bob, alice := online(t, s, "bob", "b"), online(t, s, "alice", "a")
	bob.Send("<inactive " + csi)
	bob.Sync()
	for i := range 4 {
		alice.Send(fmt.Sprintf("<message to='bob@%s/b' type='headline' id='h%d'><event xmlns='http://jabber.org/protocol/pubsub#event'/></message>", domain, i))
	}
	if got := bob.Want("id='h3'"); strings.Count(got, "<message") != 4 {
		t.Errorf("held were %s", got)
	}
}

// TestClientStateResumed: what is held for a client whose connection is lost comes after the
// resumption, in order, and the client counts as active (XEP-0352 section 5.2).
func TestClientStateResumed(t *testing.T) {
	s := startServer(t, options{})
	dn1 := enable(login(t, s, "dn1", "a"), "")
	dn1.Send("<presence/>")
	dn1.Sync()
	dn2 := online(t, s, "dn2", "b")
	dn1.Want("from='dn2@" + domain + "/b'")
	handled := 3 // own presence, sync, dn2's presence
	dn1.Send("<inactive " + csi)
	dn1.Sync()
	handled++
	dn2.Send("<presence><status>held</status></presence>")
	dn2.Sync()
	_ = dn1.Conn.Close()
	back := authenticated(t, s, "dn1")
	back.resume(dn1.id, handled)
	back.Want("<status>held</status>")
	dn2.Send("<presence><status>active</status></presence>")
	back.Want("<status>active</status>")
}
