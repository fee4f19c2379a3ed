package mission

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/test/xmppraw"
)

// checkResumptionElsewhere: a client whose connection breaks goes on at each of the other servers, and gets every
// message once; of a session whose server is frozen, or was killed, it is told that it is gone, and it binds anew.
func checkResumptionElsewhere(t *testing.T) {
	sv := harness.StartServers(t, binary, harness.ServersOptions{N: 3, Users: []string{"alice", "bob"}})
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

	sv.All[2].Freeze(t)
	bob.cut()
	anew(t, bob, sv.All[0], "frozen")
	sv.All[2].Thaw(t)
	sv.Whole()
	sv.Quiet()
	alice.say("bob", "who stays")
	bob.ear.Await(t, "<body>who stays.</body>", 1)
	harness.Eventually(t, harness.Patience, "the session of before is gone", func() bool { return sv.Sum("xmppd_sessions") == 2 })

	at := sv.All[0]
	if at.Metric(t, "xmppd_sessions") != 1 {
		t.Fatal("bob is not where he has logged in")
	}
	sv.Replicated()
	at.Kill(t)
	harness.Eventually(t, xmppraw.Patience, "bob's connection ends", bob.ear.Ended)
	anew(t, bob, sv.All[2], "killed")
}

// anew has a client whose server does not answer any more resume at another one, where it is told that its session is gone,
// and binds a new one.
func anew(t *testing.T, r *roamer, at *harness.Member, what string) {
	t.Helper()
	// A quiet machine takes milliseconds if the server was killed, and what it takes to notice if it is frozen, 4 s.
	const atOnce = 30 * time.Second
	began := time.Now()
	got := r.resume(at)
	took := time.Since(began)
	if !strings.Contains(got, "<item-not-found ") || took > atOnce {
		t.Errorf("with the server %s, after %v: %s", what, took, got)
	}
	t.Logf("with the server %s it is told after %v", what, took.Round(time.Millisecond))
	r.ear.Send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>")
	r.ear.Await(t, "<jid>"+r.user+"@", 1)
	r.ear.Send("<enable xmlns='" + nsSM + "' resume='true'/>")
	r.ear.Await(t, "<enabled ", 1)
	r.renewed()
}
