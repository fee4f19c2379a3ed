package router_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

var messageID = regexp.MustCompile(`<message[^>]* id='([0-9]+)'`)

// came lists the ids of the messages that a client got.
func (w *world) came(who string) string {
	var ids []string
	for _, m := range messageID.FindAllSubmatch(w.sinks[who].got, -1) {
		ids = append(ids, string(m[1]))
	}
	return strings.Join(ids, " ")
}

// leave ends a session up to the point where it gives back what it was not written: messages with
// these ids.
func (w *world) leave(s *session.Session) (giveBack func(t *testing.T, ids ...int)) {
	s.Out.Fail(session.ErrClosed)
	return func(t *testing.T, ids ...int) {
		var left []byte
		for _, id := range ids {
			left = fmt.Appendf(left, "<message from='a@d/x' type='chat' to='b@d' id='%d'/>", id)
		}
		var b session.Batch
		w.table.Unbind(s)
		w.router.Return(t.Context(), s, [][]byte{left}, 0, &b)
		b.Flush()
	}
}

// TestNothingOvertakes: what is sent while a session leaves comes behind what that gives back, be it
// noticed that it leaves or not.
func TestNothingOvertakes(t *testing.T) {
	run := func(t *testing.T, f router.Faults) string {
		w := newWorld(t, f)
		a, third := w.login("a@d/x"), w.login("b@d/3")
		var back []func(*testing.T, ...int)
		leaving := []*session.Session{w.login("b@d/1"), w.login("b@d/2")}
		for i, s := range leaving {
			w.send(t, s, fmt.Sprintf("<presence><priority>%d</priority></presence>", 5-i))
			back = append(back, w.leave(s)) // both are listed still
		}
		w.send(t, third, "<presence/>")
		w.send(t, a, "<message type='chat' to='b@d' id='3'/>")
		w.send(t, a, "<message type='chat' to='b@d/3' id='4'/>")
		w.send(t, a, "<message type='headline' to='b@d/3' id='0'/>") // has no part in that
		w.table.Unbind(leaving[1])
		back[0](t, 1)
		w.send(t, a, "<message to='b@d' id='5'/>")
		back[1](t, 2)
		w.send(t, a, "<message type='chat' to='b@d' id='6'/>")
		if third.User().Leaves() {
			t.Error("nobody leaves any more")
		}
		return fmt.Sprintf("%s, came back %q", w.came("b@d/3"), w.came("a@d/x"))
	}
	const want = `0 1 2 3 4 5 6, came back ""`
	if got := run(t, router.Faults{}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := run(t, router.Faults{HoldNothing: true}); got == want {
		t.Error("the planted bug is not noticed")
	}
}

// TestHeldMessagesAreBounded: who writes too much meanwhile is told so, and the account is forgotten
// when nothing of it is left.
func TestHeldMessagesAreBounded(t *testing.T) {
	w := newWorld(t, router.Faults{})
	a, b := w.login("a@d/x"), w.login("b@d/1")
	w.send(t, b, "<presence/>")
	giveBack := w.leave(b)
	body := strings.Repeat("x", 1<<20)
	for i := range 6 {
		w.send(t, a, fmt.Sprintf("<message type='chat' to='b@d' id='%d'><body>%s</body></message>", i, body))
	}
	if got := string(w.sinks["a@d/x"].got); w.came("a@d/x") != "3 4 5" || strings.Count(got, "<resource-constraint") != 3 {
		t.Errorf("came back at once: %s", w.came("a@d/x"))
	}
	giveBack(t)
	if got := w.came("a@d/x"); got != "3 4 5 0 1 2" { // there is nobody that keeps messages
		t.Errorf("came back in the end: %s", got)
	}
	if w.table.User("b@d") != nil {
		t.Error("an account without sessions is listed")
	}
}
