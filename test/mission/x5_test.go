package mission

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// checkOffline: messages to somebody who is away survive the server being killed,
// and come once, in order and marked as delayed, to whichever session is there first.
func checkOffline(t *testing.T) {
	const n = 150
	data := t.TempDir()
	s := harness.StartXMPPDIn(t, binary, data, "", "alice", "bob")
	alice := s.Online(t, "alice", "desk")
	for i := range n {
		alice.Send(fmt.Sprintf("<message type='chat' to='bob@%s' id='m%d'><body>hello</body></message>", harness.Domain, i))
	}
	if got := alice.Sync(); strings.Contains(got, "error") {
		t.Fatalf("the sender was told %q", got)
	}
	s.Kill(t)
	s = harness.StartXMPPDIn(t, binary, data, "")
	bob := s.Login(t, "bob", "phone")
	bob.Send("<presence/>")
	for i := range n {
		got := bob.Want("</message>")
		if !strings.Contains(got, fmt.Sprintf(" id='m%d'", i)) || !strings.Contains(got, "<delay xmlns='urn:xmpp:delay' from='"+harness.Domain+"'") {
			t.Fatalf("message %d: %q", i, got)
		}
	}
	for _, resource := range []string{"tablet", "desk"} {
		if got := s.Online(t, "bob", resource).Sync() + bob.Sync(); strings.Contains(got, "<message") {
			t.Errorf("a message came again: %q", got)
		}
	}
}
