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
	dn1.send("<presence/>")
	dn1.sync()
	dn2 := online(t, s, "dn2", "b")
	dn1.want("from='dn2@" + domain + "/b'")
	state := func(status string) { dn2.send("<presence><status>" + status + "</status></presence>") }
	chat := func(payload string) {
		dn2.send("<message type='chat' to='dn1@" + domain + "/a'>" + payload + "</message>")
	}
	typing := func(what string) { chat("<" + what + " xmlns='http://jabber.org/protocol/chatstates'/>") }

	dn1.send("<inactive " + csi + "<inactive " + csi)
	dn1.sync()
	state("one")
	typing("composing")
	dn2.send("<message type='headline' to='dn1@" + domain + "/a'><event xmlns='http://jabber.org/protocol/pubsub#event'/></message>")
	typing("paused")
	state("two")
	dn2.sync()
	chat("<body>important</body>")
	got := dn1.want("<body>important</body>")
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
	dn2.sync()
	dn1.send("<active " + csi)
	dn1.want("<status>three</status>")
	state("four")
	dn1.want("<status>four</status>")

	dn1.send("<inactive " + csi)
	dn1.sync()
	for _, important := range []string{
		"<message type='error' to='%s'><error type='cancel'/></message>", "<message to='%s'><request xmlns='urn:example:call'/></message>",
		"<message to='%s' type='headline'><body>x</body></message>", "<message to='%s'><propose xmlns='urn:xmpp:jingle-message:0' id='x'/></message>",
		"<iq type='result' id='y' to='%s'/>",
	} {
		state("before")
		dn2.send(fmt.Sprintf(important, "dn1@"+domain+"/a"))
		if got := dn1.want("<message", "<iq"); !strings.Contains(got, "<status>before</status>") {
			t.Errorf("%s: %s", important, got)
		}
	}
	dn1.send("<sleepy " + csi)
	if got := dn1.rest(); !strings.Contains(got, "<unsupported-stanza-type ") {
		t.Errorf("unknown state: %s", got)
	}
}

// TestClientStateBounded: what is held for a client is bounded; then all of it goes out.
func TestClientStateBounded(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Modules.CSI.HeldStanzas = 3 }})
	bob, alice := online(t, s, "bob", "b"), online(t, s, "alice", "a")
	bob.send("<inactive " + csi)
	bob.sync()
	for i := range 4 {
		alice.send(fmt.Sprintf("<message to='bob@%s/b' type='headline' id='h%d'><event xmlns='http://jabber.org/protocol/pubsub#event'/></message>", domain, i))
	}
	if got := bob.want("id='h3'"); strings.Count(got, "<message") != 4 {
		t.Errorf("held were %s", got)
	}
}

// TestClientStateResumed: what is held for a client whose connection is lost comes after the
// resumption, in order, and the client counts as active (XEP-0352 section 5.2).
func TestClientStateResumed(t *testing.T) {
	s := startServer(t, options{})
	dn1 := enable(login(t, s, "dn1", "a"), "")
	dn1.send("<presence/>")
	dn1.sync()
	dn2 := online(t, s, "dn2", "b")
	dn1.want("from='dn2@" + domain + "/b'")
	handled := 3 // own presence, sync, dn2's presence
	dn1.send("<inactive " + csi)
	dn1.sync()
	handled++
	dn2.send("<presence><status>held</status></presence>")
	dn2.sync()
	_ = dn1.conn.Close()
	back := authenticated(t, s, "dn1")
	back.resume(dn1.id, handled)
	back.want("<status>held</status>")
	dn2.send("<presence><status>active</status></presence>")
	back.want("<status>active</status>")
}
