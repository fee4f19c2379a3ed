package mission

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/test/xmppraw"
)

// checkResumptionElsewhere: a client whose connection breaks goes on at each of the other servers, and gets every
// message once; of a session whose server was killed it is told that it is gone, and it binds anew.
func checkResumptionElsewhere(t *testing.T) {
	sv := harness.StartServers(t, binary, harness.ServersOptions{N: 3, Local: true, Users: []string{"alice", "bob"}})
	alice, bob := newRoamer(t, sv.All[1], "alice"), newRoamer(t, sv.All[0], "bob")
	n := 0
	talk := func(many int) {
		for range many {
			alice.say("bob", fmt.Sprint(n))
			n++
		}
	}
	for _, next := range []int{2, 1, 0, 2} {
		talk(20)
		bob.ear.Await(t, fmt.Sprintf("<body>%d.</body>", n-20), 1)
		bob.cut()
		talk(20)
		if got := bob.resume(sv.All[next]); !strings.Contains(got, "<resumed ") {
			t.Fatalf("at server %d: %s", next+1, got)
		}
		talk(20)
	}
	bob.checkLedger(n)
	sv.All[2].Kill(t)
	harness.Eventually(t, xmppraw.Patience, "bob's connection ends", bob.ear.Ended)
	if got := bob.resume(sv.All[0]); !strings.Contains(got, "<item-not-found ") {
		t.Errorf("after the death of the server: %s", got)
	}
	bob.ear.Send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>")
	bob.ear.Await(t, "<jid>bob@", 1)
}
