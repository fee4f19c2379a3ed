package offline

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// slow is a store that lets things happen before a message is kept.
type slow struct {
	store.Store
	m         *Module
	meanwhile func()
	times     int
}

func (s *slow) Update(ctx context.Context, owner string, f func(store.Tx) error) error {
	if s.free(owner) && s.meanwhile != nil && s.times > 0 {
		m := s.meanwhile
		s.times--
		s.meanwhile = nil // one thing at a time
		m()
		s.meanwhile = m
	}
	return s.Store.Update(ctx, owner, f)
}

// free tells keeping from what a drain does, which nothing can come between.
func (s *slow) free(owner string) bool {
	s.m.mu.Lock()
	d := s.m.drains[owner]
	s.m.mu.Unlock()
	if d == nil {
		return true
	}
	if !d.mu.TryLock() {
		return false
	}
	d.mu.Unlock()
	return true
}

// playOrder has alice write to bob while his sessions, one at a time, come, read a little and die.
// Things happen between the steps of a session's end, too, and while its messages are being stored.
// It returns what bob got in other order than it was sent, or not once.
func playOrder(rt *rapid.T, t testing.TB, f faults, rf router.Faults) (wrong []string) {
	w := newWorld(t, Config{}, f, rf)
	disk := &slow{Store: w.store, m: w.module}
	w.module.opt.Store = disk
	alice := w.login("alice@d/a", 1<<30)
	var live *session.Session
	var all []*session.Session
	n, depth := 0, 0
	say := func() {
		for range rapid.IntRange(1, 3).Draw(rt, "messages") {
			to := "bob@d"
			if live != nil && live.Priority() >= 0 && rapid.Bool().Draw(rt, "full") {
				to = live.Full // and to a chat message it is one as good as the other
			}
			w.send(alice, fmt.Sprintf("<message type='chat' to='%s'><body>%d</body></message>", to, n))
			n++
		}
	}
	login := func() {
		if live != nil {
			return
		}
		live = w.login(fmt.Sprintf("bob@d/%d", len(all)), rapid.IntRange(0, 1000).Draw(rt, "room"))
		all = append(all, live)
		s := live
		switch rapid.IntRange(0, 2).Draw(rt, "presence") {
		case 0:
			w.send(s, "<presence><priority>-1</priority></presence>")
		default:
			w.send(s, "<presence/>")
		}
	}
	var step func()
	end := func() {
		if live == nil || depth > 0 {
			return
		}
		s := live
		depth++
		defer func() { depth-- }()
		s.Out.Fail(session.ErrOverflow)
		for range rapid.IntRange(0, 2).Draw(rt, "while closed") {
			say()
		}
		w.table.Unbind(s)
		live = nil
		for range rapid.IntRange(0, 2).Draw(rt, "while unbound") {
			step()
		}
		w.im.SessionEnded(t.Context(), s)
		left, written := s.Out.Close()
		disk.meanwhile, disk.times = step, 6
		var b session.Batch
		w.router.Return(t.Context(), s, left, written, &b)
		b.Flush()
		disk.meanwhile = nil
	}
	step = func() {
		switch rapid.IntRange(0, 5).Draw(rt, "step") {
		case 0, 1:
			say()
		case 2:
			login()
		case 3:
			if live != nil {
				w.wires[live].grant(rapid.IntRange(1, 500).Draw(rt, "grant"))
			}
		case 4:
			if live != nil {
				w.send(live, "<presence/>")
			}
		case 5:
			end()
		}
	}
	for range rapid.IntRange(1, 40).Draw(rt, "steps") {
		step()
	}
	for live != nil { // another one may come meanwhile
		end()
	}
	w.wg.Wait()
	last := w.login("bob@d/last", 1<<30)
	w.send(last, "<presence/>")
	w.wg.Wait()
	next := 0
	for _, s := range append(all, last) {
		for _, msg := range w.wires[s].read() {
			if body(msg) != strconv.Itoa(next) {
				wrong = append(wrong, fmt.Sprintf("%s got %s, want %d", s.Full, body(msg), next))
			}
			next++
		}
	}
	if next != n {
		wrong = append(wrong, fmt.Sprintf("%d came, %d were sent", next, n))
	}
	return wrong
}

// TestOrder: what somebody sends to an account arrives in that order, whatever of it waits in a queue
// of a session that dies, in the store, or nowhere.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		for _, wrong := range playOrder(rt, t, faults{}, router.Faults{}) {
			rt.Error(wrong)
		}
	})
	for name, f := range map[string]func(rt *rapid.T) []string{
		"overtakes what is kept":    func(rt *rapid.T) []string { return playOrder(rt, t, faults{overtake: true}, router.Faults{}) },
		"overtakes what comes back": func(rt *rapid.T) []string { return playOrder(rt, t, faults{}, router.Faults{HoldNothing: true}) },
	} {
		noticed := false
		rapid.Check(t, func(rt *rapid.T) { noticed = noticed || len(f(rt)) > 0 })
		if !noticed {
			t.Errorf("planted bug not noticed: %s", name)
		}
	}
}
