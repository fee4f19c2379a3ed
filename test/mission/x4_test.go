package mission

import (
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// checkBlocking: of a user who is blocked nothing arrives, also after a restart of
// the server, until the block is lifted.
func checkBlocking(t *testing.T) {
	const bob, ns = "bob@" + harness.Domain, "urn:xmpp:blocking"
	data := t.TempDir()
	s := harness.StartXMPPDIn(t, binary, data, "", "alice", "bob")
	alice := s.Online(t, "alice", "desk")
	alice.Send("<iq type='set' id='block'><block xmlns='" + ns + "'><item jid='" + bob + "'/></block></iq>")
	if got := alice.Sync(); !strings.Contains(got, "type='result' id='block'") {
		t.Fatalf("block: %q", got)
	}
	s.Kill(t)
	s = harness.StartXMPPDIn(t, binary, data, "")
	alice, blocked := s.Online(t, "alice", "desk"), s.Online(t, "bob", "phone")
	talk := "<message type='chat' to='" + alice.JID + "'><body>talk</body></message><message type='headline' to='alice@" + harness.Domain + "'><body>talk</body></message>" +
		"<presence to='" + alice.JID + "'><status>talk</status></presence><presence type='subscribe' to='alice@" + harness.Domain + "'/>" +
		"<iq type='get' id='q' to='" + alice.JID + "'><talk xmlns='urn:x'/></iq>"
	blocked.Send(talk)
	if got := blocked.Sync(); strings.Contains(got, "blocked") || !strings.Contains(got, "<service-unavailable") {
		t.Errorf("the blocked user was told %q, want what one is told of somebody who is away", got)
	}
	if got := alice.Sync(); strings.Contains(got, bob) {
		t.Errorf("the blocked user was heard: %q", got)
	}
	alice.Send("<message to='" + bob + "'><body>talk</body></message>")
	if got := alice.Sync(); !strings.Contains(got, "<blocked xmlns='urn:xmpp:blocking:errors'/>") {
		t.Errorf("a message to the blocked user: %q", got)
	}
	alice.Send("<iq type='set' id='unblock'><unblock xmlns='" + ns + "'/></iq>")
	alice.Sync()
	blocked.Send(talk)
	blocked.Sync()
	if got := alice.Sync(); strings.Count(got, "<talk")+strings.Count(got, ">talk<") != 4 || !strings.Contains(got, "type='subscribe'") {
		t.Errorf("after the block: %q", got)
	}
}
