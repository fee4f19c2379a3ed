package mission

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/test/xmppraw"
)

const nsSM = "urn:xmpp:sm:3"

// roamer is a client with stream management (XEP-0198) that goes on at another server when its own ends. It is available:
// what comes at the moment in which its session is nowhere is kept, and delivered to who is.
type roamer struct {
	t       *testing.T
	user    string
	id      string // of its session
	ear     *harness.Ear
	sent    []string // all its stanzas
	heard   string   // on the connections before
	handled int      // stanzas there
}

func newRoamer(t *testing.T, at *harness.Member, user string) *roamer {
	t.Helper()
	c := at.Online(t, user, "r")
	c.Send("<enable xmlns='" + nsSM + "' resume='true'/>")
	m := regexp.MustCompile(` id='([^']+)'`).FindStringSubmatch(c.Want("<enabled ") + c.Want("/>"))
	if m == nil {
		t.Fatal("stream management is not switched on")
	}
	return &roamer{t: t, user: user, id: m[1], ear: harness.Listen(c)}
}

var enabled = regexp.MustCompile(`<enabled [^>]*\bid='([^']+)'`)

// renewed takes the session that was begun on the connection of now for that of the client.
func (r *roamer) renewed() {
	r.t.Helper()
	m := enabled.FindStringSubmatch(r.ear.Heard())
	if m == nil {
		r.t.Fatalf("stream management is not switched on: %s", r.ear.Heard())
	}
	r.id, r.handled = m[1], 0
}

// cut breaks the connection, and waits until the client has noticed.
func (r *roamer) cut() {
	_ = r.ear.Conn.Close()
	harness.Eventually(r.t, xmppraw.Patience, "the connection is lost", r.ear.Ended)
}

// resume goes on at a server, and sends again what had not been handled. It reports what the server says.
func (r *roamer) resume(at *harness.Member) (answer string) {
	r.t.Helper()
	before := r.ear.Heard()
	r.heard, r.handled = r.heard+before, r.handled+stanzas(before)
	c, _ := xmppraw.Authenticate(r.t, at.Addr(r.t, "clients"), r.user)
	r.ear = harness.Listen(c)
	c.Send(fmt.Sprintf("<resume xmlns='%s' h='%d' previd='%s'/>", nsSM, r.handled, r.id))
	harness.Eventually(r.t, xmppraw.Patience, "the server answers", func() bool {
		answer = r.ear.Heard()
		return strings.Contains(answer, "/>")
	})
	m := regexp.MustCompile(`<resumed [^>]*h='(\d+)'`).FindStringSubmatch(answer)
	if m == nil {
		return answer
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n > len(r.sent) {
		r.t.Fatalf("%d stanzas were sent, the server has handled %s", len(r.sent), m[1])
	}
	for _, s := range r.sent[n:] {
		_ = c.TrySend(s) // a connection that is lost again is resumed again
	}
	return answer
}

// stanzas counts those that came whole: messages, and presence, which is empty.
func stanzas(heard string) int {
	return strings.Count(heard, "</message>") + len(presence.FindAllString(heard, -1))
}

var presence = regexp.MustCompile(`<presence[^>]*(?:/>|>.*?</presence>)`)

// say sends a message, which may get lost with the connection: then it is sent again.
func (r *roamer) say(to string, body string) {
	r.sent = append(r.sent, fmt.Sprintf("<message type='chat' to='%s@%s/r'><body>%s.</body></message>", to, xmppraw.Domain, body))
	_ = r.ear.TrySend(r.sent[len(r.sent)-1])
}

// all is what has come, on all connections.
func (r *roamer) all() string { return r.heard + r.ear.Heard() }

// checkLedger waits until n messages have come and checks that each has come once.
func (r *roamer) checkLedger(n int) {
	r.t.Helper()
	harness.Eventually(r.t, harness.Patience, fmt.Sprintf("%s gets %d messages", r.user, n), func() bool {
		return strings.Count(r.all(), "</message>") >= n
	})
	got := r.all()
	for i := range n {
		if times := strings.Count(got, fmt.Sprintf("<body>%d.</body>", i)); times != 1 {
			r.t.Errorf("message %d has come %d times", i, times)
		}
	}
	if strings.Contains(got, "type='error'") {
		r.t.Errorf("%s got errors", r.user)
	}
}
