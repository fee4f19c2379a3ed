package mission

import (
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// archivesAcross: a message between any two of three servers, copied to another client of its receiver and of its sender, or
// kept for who is away, is once in the archive of each side, wherever that is read.
func archivesAcross(t *testing.T, sv *harness.Servers) {
	t.Helper()
	const n = 5
	erin, frank := sv.All[0].Online(t, "erin", "e"), harness.Listen(sv.All[1].Online(t, "frank", "f1"))
	for i, user := range []string{"frank", "erin"} {
		c := sv.All[2].Online(t, user, fmt.Sprint("copy", i))
		c.Send("<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
		c.Want("id='carbons'")
	}
	for i := range n {
		for _, to := range []string{frank.JID, "frank@" + harness.Domain, "grace@" + harness.Domain} {
			erin.Send(fmt.Sprintf("<message type='chat' to='%s'><body>archived %d for %s.</body></message>", to, i, to))
		}
		frank.Send(fmt.Sprintf("<message type='chat' to='%s'><body>answer %d.</body></message>", erin.JID, i))
	}
	frank.Await(t, fmt.Sprintf("archived %d for %s.", n-1, frank.JID), 1)
	erin.Want(fmt.Sprintf("answer %d.", n-1))
	sv.Quiet()
	for _, m := range sv.All {
		for user, want := range map[string]int{"erin": 4 * n, "frank": 3 * n, "grace": n} {
			e := harness.Listen(m.Login(t, user, "reader"))
			e.Send("<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2'/></iq>")
			e.Await(t, "id='mam'", 1)
			if got := e.Count("<result xmlns='urn:xmpp:mam:2'"); got != want {
				t.Errorf("%s: the archive of %s has %d messages, not %d", m.Name, user, got, want)
			}
			for i := range n {
				for _, text := range []string{fmt.Sprintf("archived %d for frank@%s.", i, harness.Domain), fmt.Sprintf("archived %d for grace@%s.", i, harness.Domain), fmt.Sprintf("archived %d for %s.", i, frank.JID), fmt.Sprintf("answer %d.", i)} {
					if got := e.Count(text); got > 1 {
						t.Errorf("%s: %q is %d times in the archive of %s", m.Name, text, got, user)
					}
				}
			}
			e.Send("</stream:stream>")
		}
	}
}
