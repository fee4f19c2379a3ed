package web

import (
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// TestStrophe: two users log in, see their rosters and one another, and chat both ways, over
// WebSocket and BOSH, also after their connections broke.
func TestStrophe(t *testing.T) {
	needModule(t, "strophe.js")
	c := startChromium(t)
	s := startServer(t)
	site := pages(t)
	for name, service := range map[string]string{
		"WebSocket": "wss://localhost:" + s.https.port() + "/ws",
		"BOSH":      "https://localhost:" + s.https.port() + "/bosh",
	} {
		t.Run(name, func(t *testing.T) {
			c.t = t
			p := c.open(site + "/strophe.html")
			p.run(fmt.Sprintf("window.a = new User(%q, %q, %q); window.b = new User(%[1]q, %[4]q, %[3]q); 1", service, "alice@"+harness.Domain, harness.Password, "bob@"+harness.Domain))
			p.run("Promise.all([a.connect(), b.connect()]).then(() => 1)")
			if got, want := p.run("a.roster()"), "bob@"+harness.Domain+" both"; got != want {
				t.Errorf("roster: %q, want %q", got, want)
			}
			p.until("a.sees('bob@" + harness.Domain + "') && b.sees('alice@" + harness.Domain + "')")
			chat := func(from, to, jid string, n int, what string) {
				t.Helper()
				p.run(fmt.Sprintf("%s.heard = []; for (let i = 0; i < %d; i++) %s.say('%s@"+harness.Domain+"', %q + ' ' + i); 1", to, n, from, jid, what))
				p.until(fmt.Sprintf("%s.heard.length >= %d", to, n))
				for i := range n {
					if got, want := p.run(fmt.Sprintf("%s.heard[%d]", to, i)), fmt.Sprintf("%s %d", what, i); got != want {
						t.Errorf("message %d is %q, want %q", i, got, want)
					}
				}
			}
			chat("a", "b", "bob", 20, "hello <&> \u00e9\U0001F642")
			chat("b", "a", "alice", 20, "good evening")
			if n := s.https.cut(); n == 0 {
				t.Fatal("there was nothing to cut")
			}
			if name == "WebSocket" {
				p.until("a.lost > 0 && b.lost > 0")
				p.run("Promise.all([a.connect(), b.connect()]).then(() => 1)")
			}
			// BOSH goes on by itself: nothing is lost, nothing comes twice.
			chat("a", "b", "bob", 10, "again")
			chat("b", "a", "alice", 10, "and again")
			if name == "BOSH" {
				if got := p.run("a.lost + b.lost"); got != "0" {
					t.Errorf("sessions lost: %s: %s", got, p.run("a.statuses.join() + ' ' + b.statuses.join()"))
				}
			}
			p.run("a.connection.disconnect(); b.connection.disconnect(); 1")
			p.until("a.statuses.at(-1) === 'DISCONNECTED' && b.statuses.at(-1) === 'DISCONNECTED'")
		})
	}
}
