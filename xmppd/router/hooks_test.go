package router_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// watcher counts what its hooks see.
type watcher struct {
	interest                            session.Interest
	sent, message, received, delivered  map[string]int
	took                                int
	returned                            []string
	refuse, blocked, replaced, inCharge string // ids; blocked is a bare JID
	unsure                              string // the same
}

func newWatcher() *watcher {
	return &watcher{sent: map[string]int{}, message: map[string]int{}, received: map[string]int{}, delivered: map[string]int{}}
}

func (w *watcher) Info() module.Info      { return module.Info{Name: "watcher"} }
func (w *watcher) Features() []string     { return nil }
func (w *watcher) Routes() []module.Route { return nil }

func (w *watcher) Extend(e *module.Extension) {
	w.interest = e.Interest
	id := func(p *module.Passage) string { return p.Stanza.AttrString(p.Stanza.ID) }
	e.StanzaSent = func(_ context.Context, p *module.Passage) error {
		w.sent[id(p)]++
		if w.refuse == id(p) {
			return module.NotAllowed("")
		}
		return nil
	}
	e.MessageSent = func(_ context.Context, p *module.Passage) error {
		w.message[id(p)]++
		return nil
	}
	e.MessageReceived = func(_ context.Context, _ stanza.JID, p *module.Passage) error {
		w.received[id(p)]++
		if w.unsure == id(p) {
			return fmt.Errorf("archive message: %w", store.ErrUncertain)
		}
		if w.replaced == id(p) {
			return p.Replace([]byte("<message from='a@d/x' to='b@d' id='" + id(p) + "'><body>other</body></message>"))
		}
		return nil
	}
	e.MessageDelivered = func(_ context.Context, _ stanza.JID, p *module.Passage, took []*session.Session) bool {
		w.delivered[id(p)]++
		w.took = len(took)
		return w.inCharge == id(p)
	}
	e.Returned = func(_ context.Context, s *session.Session, _ *session.Batch) { w.returned = append(w.returned, s.Full) }
	e.Blocks = func(_ context.Context, owner, other stanza.JID) (bool, error) {
		return w.blocked == owner.String()+" "+other.Bare().String(), nil
	}
}

// send routes a stanza of a session and flushes.
func (w *world) send(t *testing.T, from *session.Session, raw string) {
	t.Helper()
	st, err := stanza.One([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	var b session.Batch
	if se := w.router.Route(t.Context(), from, st, &b); se != nil {
		t.Fatal(se)
	}
	b.Flush()
}

func TestHooksSeeEachStanzaOnce(t *testing.T) {
	run := func(t *testing.T, faults router.Faults) (wrong []string) {
		w, h := newWorld(t, faults), newWatcher()
		if err := w.router.Add(h); err != nil {
			t.Fatal(err)
		}
		a := w.login("a@d/x")
		for _, s := range []string{"b@d/1", "b@d/2"} {
			w.send(t, w.login(s), "<presence/>")
		}
		stanzas := map[string]string{ // id to stanza; which hooks have to see it
			"full": "<message to='b@d/1' id='full'/>", "bare": "<message type='chat' to='b@d' id='bare'/>",
			"none": "<message to='n@d' id='none'/>", "own": "<message type='chat' to='a@d' id='own'/>",
			"headline": "<message type='headline' to='b@d' id='headline'/>",
			"ping":     "<iq type='get' to='b@d/1' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>",
			"server":   "<iq type='get' to='d' id='server'><ping xmlns='urn:xmpp:ping'/></iq>",
			"presence": "<presence id='presence'/>", "directed": "<presence to='b@d/1' id='directed'/>",
		}
		for id, raw := range stanzas {
			w.send(t, a, raw)
			message := 0
			if raw[1] == 'm' {
				message = 1
			}
			for name, got := range map[string]int{"sent": h.sent[id] - 1, "message": h.message[id] - message, "received": h.received[id] - message, "delivered": h.delivered[id] - message} {
				if got != 0 {
					wrong = append(wrong, fmt.Sprintf("%s: hook %s ran %+d times too often", id, name, got))
				}
			}
		}
		return wrong
	}
	for _, w := range run(t, router.Faults{}) {
		t.Error(w)
	}
	if len(run(t, router.Faults{HookTwice: true})) == 0 {
		t.Error("hooks that run once for each receiver are not noticed")
	}
}

// TestUncertain: the sender of what may have had effect is told so, not that it failed.
func TestUncertain(t *testing.T) {
	for want, faults := range map[string]router.Faults{"<remote-server-timeout ": {}, "<internal-server-error ": {FailUncertain: true}} {
		w, h := newWorld(t, faults), newWatcher()
		if err := w.router.Add(h); err != nil {
			t.Fatal(err)
		}
		a := w.login("a@d/x")
		h.unsure = "one"
		w.send(t, a, "<message type='chat' to='b@d' id='one'><body>x</body></message>")
		if got := string(w.sinks["a@d/x"].got); !strings.Contains(got, want) {
			t.Errorf("planted %v: %s", faults.FailUncertain, got)
		}
	}
}

func TestHooksDecide(t *testing.T) {
	w, h := newWorld(t, router.Faults{}), newWatcher()
	if err := w.router.Add(h); err != nil {
		t.Fatal(err)
	}
	a, b := w.login("a@d/x"), w.login("b@d/1")
	w.send(t, b, "<presence/>")
	got := func(who string) string {
		s := string(w.sinks[who].got)
		w.sinks[who].got = nil
		return s
	}
	got("b@d/1")

	h.refuse = "1"
	w.send(t, a, "<message to='b@d/1' id='1'/>")
	if r := got("a@d/x"); !strings.Contains(r, "<not-allowed") || got("b@d/1") != "" {
		t.Errorf("refused by a hook: the sender got %q", r)
	}
	h.replaced = "2"
	w.send(t, a, "<message to='b@d/1' id='2'/>")
	if r := got("b@d/1"); !strings.Contains(r, "<body>other</body>") {
		t.Errorf("replaced by a hook: got %q", r)
	}
	h.inCharge = "3"
	w.send(t, a, "<message to='n@d' id='3'/>")
	if r := got("a@d/x"); r != "" || h.took != 0 {
		t.Errorf("kept by a hook: the sender got %q, took %d", r, h.took)
	}
	w.send(t, a, "<message to='n@d' id='4'/>")
	if r := got("a@d/x"); !strings.Contains(r, "<service-unavailable") {
		t.Errorf("kept by nobody: the sender got %q", r)
	}
	h.blocked = "b@d a@d"
	w.send(t, a, "<message to='b@d/1' id='5'/>")
	w.send(t, a, "<iq type='get' to='b@d/1' id='6'><ping xmlns='urn:xmpp:ping'/></iq>")
	if r := got("a@d/x"); !strings.Contains(r, "id='5'") || !strings.Contains(r, "id='6'") || strings.Contains(r, "blocked") || got("b@d/1") != "" {
		t.Errorf("blocked by the receiver: the sender got %q", r)
	}
	w.send(t, b, "<message to='a@d/x' id='7'/>")
	if r := got("b@d/1"); !strings.Contains(r, "<not-acceptable") || !strings.Contains(r, "<blocked xmlns='urn:xmpp:blocking:errors'/>") {
		t.Errorf("to somebody who is blocked: the sender got %q", r)
	}

	// Without marks on either account, nothing is seen.
	h.blocked = ""
	h.interest.Drop(a.User())
	h.interest.Drop(b.User())
	w.send(t, a, "<message to='b@d/1' id='8'/>")
	if h.sent["8"]+h.received["8"] != 0 || !strings.Contains(got("b@d/1"), "id='8'") {
		t.Error("accounts without marks: a hook ran, or the message did not arrive")
	}
	h.interest.Take(b.User())
	w.send(t, a, "<message to='b@d/1' id='9'/>")
	if h.sent["9"] != 0 || h.received["9"] != 1 {
		t.Errorf("a mark on the receiver alone: sent %d, received %d", h.sent["9"], h.received["9"])
	}
}

// TestHooksOfTheUndelivered: what nobody took is offered to modules whatever the marks are, at once
// or when the session that took it dies, and then they are told of its end.
func TestHooksOfTheUndelivered(t *testing.T) {
	w, h := newWorld(t, router.Faults{}), newWatcher()
	if err := w.router.Add(h); err != nil {
		t.Fatal(err)
	}
	a, b := w.login("a@d/x"), w.login("b@d/1")
	h.interest.Drop(a.User())
	h.interest.Drop(b.User())
	w.send(t, a, "<message to='b@d/1' id='1'/>")
	if h.delivered["1"] != 0 {
		t.Error("a message that went the usual way was seen")
	}
	h.inCharge = "2"
	w.send(t, a, "<message to='b@d' type='chat' id='2'/>") // b is not available
	b.Out.Fail(session.ErrClosed)
	h.inCharge += "3"
	w.send(t, a, "<message to='b@d/1' id='3'/>")
	if h.delivered["2"] != 1 || h.delivered["3"] != 1 {
		t.Errorf("what nobody took: %v", h.delivered)
	}
	if got := string(w.sinks["a@d/x"].got); strings.Contains(got, "id='2'") || !strings.Contains(got, "id='3'") {
		t.Errorf("the sender got %q", got)
	}
	var batch session.Batch
	left := "<message from='a@d/x' id='4'/><message from='a@d/x' id='5'/>"
	w.table.Unbind(b)
	w.router.Return(t.Context(), b, [][]byte{[]byte(left)}, 10, &batch)
	if h.delivered["4"] != 1 || h.delivered["5"] != 1 || len(h.returned) != 1 || h.returned[0] != b.Full {
		t.Errorf("returned: %v, end of %v", h.delivered, h.returned)
	}
}

// TestForkedMessagesComeBackOnce: of a message that went to two sessions, what the first one could
// not get is with the second, and what neither got comes back once.
func TestForkedMessagesComeBackOnce(t *testing.T) {
	run := func(f router.Faults) (wrong []string) {
		w := newWorld(t, f)
		a := w.login("a@d/x")
		var b []*session.Session
		for _, j := range []string{"b@d/1", "b@d/2"} {
			b = append(b, w.login(j))
			w.send(t, b[len(b)-1], "<presence/>")
		}
		w.send(t, a, "<message type='chat' to='b@d' id='1'/>")
		w.send(t, a, "<message type='chat' to='b@d' id='1'/>") // just the same
		const one = "<message from='a@d/x' type='chat' to='b@d' id='1'/>"
		for i, want := range []int{0, 2} {
			var batch session.Batch
			w.table.Unbind(b[i])
			w.router.Return(t.Context(), b[i], [][]byte{[]byte(one + one)}, 0, &batch)
			batch.Flush()
			if got := strings.Count(string(w.sinks["a@d/x"].got), "type='error'"); got != want {
				wrong = append(wrong, fmt.Sprintf("after %d: %d came back, want %d", i+1, got, want))
			}
		}
		if got := strings.Count(string(w.sinks["b@d/2"].got), "<message"); got != 2 {
			wrong = append(wrong, fmt.Sprintf("the second session got %d messages", got))
		}
		return wrong
	}
	for _, w := range run(router.Faults{}) {
		t.Error(w)
	}
	if len(run(router.Faults{ForkTwice: true})) == 0 {
		t.Error("the planted bug is not noticed")
	}
}

// TestReturnKeepsOrder: when a session comes while what another one has left is being kept, it gets
// none of that past what is kept already.
func TestReturnKeepsOrder(t *testing.T) {
	w := newWorld(t, router.Faults{})
	w.login("a@d/x")
	b := w.login("b@d/1")
	var kept []string
	keeper := extender{func(e *module.Extension) {
		e.MessageDelivered = func(_ context.Context, _ stanza.JID, p *module.Passage, took []*session.Session) bool {
			if len(took) > 0 {
				return false
			}
			if kept = append(kept, p.Stanza.AttrString(p.Stanza.ID)); len(kept) == 1 {
				w.send(t, w.login("b@d/2"), "<presence/>")
			}
			return true
		}
	}}
	if err := w.router.Add(keeper); err != nil {
		t.Fatal(err)
	}
	w.table.Unbind(b)
	var batch session.Batch
	w.router.Return(t.Context(), b, [][]byte{[]byte("<message from='a@d/x' type='chat' id='1'/><message from='a@d/x' type='chat' id='2'/>")}, 0, &batch)
	batch.Flush()
	if got := string(w.sinks["b@d/2"].got); strings.Contains(got, "<message") || len(kept) != 2 {
		t.Errorf("kept %v, while the next session got %s", kept, got)
	}
}

// TestPresenceWaitsAside: who sends presence while somebody else sends out presence of the same session
// does not keep the streams waiting that are served by the same goroutine.
func TestPresenceWaitsAside(t *testing.T) {
	w := newWorld(t, router.Faults{})
	a := w.login("a@d/x")
	st, err := stanza.One([]byte("<presence/>"))
	if err != nil {
		t.Fatal(err)
	}
	aside, handled := make(chan bool, 10), make(chan bool)
	a.Order.Lock()
	go func() {
		var b session.Batch
		b.OnBlock(func() { aside <- true })
		w.im.Handle(t.Context(), a, st, &b)
		close(handled)
	}()
	select {
	case <-aside:
	case <-time.After(time.Minute):
		t.Error("it waits where others wait for it")
	}
	a.Order.Unlock()
	<-handled
}

// extender is a module that only has hooks.
type extender struct{ extend func(*module.Extension) }

func (extender) Info() module.Info            { return module.Info{Name: "extender"} }
func (extender) Features() []string           { return nil }
func (extender) Routes() []module.Route       { return nil }
func (x extender) Extend(e *module.Extension) { x.extend(e) }

// BenchmarkForward shows what hooks cost a message to a full JID: nothing while no module has an
// interest in the two accounts.
func BenchmarkForward(b *testing.B) {
	for _, c := range []struct {
		name        string
		add, marked bool
	}{{"no hooks", false, false}, {"hooks without interest", true, false}, {"hooks with interest", true, true}} {
		b.Run(c.name, func(b *testing.B) {
			w, h := newWorld(b, router.Faults{}), newWatcher()
			if c.add {
				if err := w.router.Add(h); err != nil {
					b.Fatal(err)
				}
			}
			from, to := w.login("a@d/x"), w.login("b@d/1")
			if c.add && !c.marked {
				h.interest.Drop(from.User())
				h.interest.Drop(to.User())
			}
			st, err := stanza.One([]byte("<message to='b@d/1' type='chat' id='1'><body>a few words of a message</body></message>"))
			if err != nil {
				b.Fatal(err)
			}
			var batch session.Batch
			b.ReportAllocs()
			for b.Loop() {
				if se := w.router.Route(b.Context(), from, st, &batch); se != nil {
					b.Fatal(se)
				}
				batch.Flush()
				w.sinks["b@d/1"].got = w.sinks["b@d/1"].got[:0]
			}
		})
	}
}
