package offline

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

// several are servers that share a store.
type several struct {
	t      *testing.T
	worlds []*world
	mu     sync.Mutex
	fates  []Fate // of each; mu guards them
}

func newSeveral(t *testing.T, n int, f faults) *several {
	x := &several{t: t, fates: make([]Fate, n)}
	records := storetest.Rerun(storetest.NewMemory("d"))
	for i := range n {
		c := &Claims{Server: fmt.Sprintf("x%d", i), Incarnation: uint64(i + 7), Fate: func(server string, incarnation uint64) Fate {
			var k int
			if _, err := fmt.Sscanf(server, "x%d", &k); err != nil || incarnation != uint64(k+7) {
				t.Errorf("fate of %s %d", server, incarnation)
			}
			return x.fate(k)
		}}
		kept := func(stanza.JID) { // all others look
			for k, w := range x.worlds {
				if k != i && x.fate(k) == Here {
					x.look(w)
				}
			}
		}
		x.worlds = append(x.worlds, newWorldOf(t, records, Options{Claims: c, Kept: kept}, f, router.Faults{}))
	}
	return x
}

func (x *several) fate(i int) Fate {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.fates[i]
}

// meets lets a server have a fate.
func (x *several) meets(i int, fate Fate) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.fates[i] = fate
}

func (x *several) look(w *world) {
	var b session.Batch
	w.module.Look(x.t.Context(), stanza.JID{Local: "bob", Domain: "d"}, &b)
	b.Flush()
}

// clock is the time of a world; deliveries look at it from goroutines of their own.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// later lets some time pass, and all look at what waits.
func (x *several) later(d time.Duration) {
	for i, w := range x.worlds {
		w.now.pass(d)
		if x.fate(i) == Here {
			w.module.lookAgain(x.t.Context())
		}
	}
}

// login brings bob on line at a server, with a network that takes some bytes.
func (x *several) login(i, room int) (*session.Session, *wire) {
	w := x.worlds[i]
	s := w.login(fmt.Sprintf("bob@d/%d", i), room)
	w.send(s, "<presence/>")
	return s, w.wires[s]
}

const several0 = 250 // messages: three pages

func (x *several) keep() {
	alice := x.worlds[0].login("alice@d/a", 1<<20)
	for i := range several0 {
		x.worlds[0].send(alice, chat(i))
	}
}

// times is how often each message has come, as "once" if all came once.
func times(wires ...*wire) string {
	counts := make(map[string]int)
	for _, w := range wires {
		for _, raw := range w.read() {
			counts[body(raw)]++
		}
	}
	var odd []string
	for i := range several0 {
		if n := counts[fmt.Sprint(i)]; n != 1 {
			odd = append(odd, fmt.Sprintf("%d: %d", i, n))
		}
	}
	if len(odd) == 0 {
		return "once"
	}
	slices.Sort(odd)
	return strings.Join(odd, ", ")
}

func (x *several) wait() {
	for _, w := range x.worlds {
		w.wg.Wait()
	}
}

// together has bob come on line at all servers while the first one's drain is held by its network.
func together(t *testing.T, n int, f faults) string {
	t.Helper()
	x := newSeveral(t, n, f)
	x.keep()
	_, first := x.login(0, 0)
	wires := []*wire{first}
	for i := 1; i < n; i++ {
		_, w := x.login(i, 1<<30)
		wires = append(wires, w)
	}
	x.later(time.Minute)
	first.grant(1 << 30)
	x.wait()
	x.later(time.Second)
	x.wait()
	if n := len(x.worlds[0].stored()); n != 0 {
		t.Errorf("%d messages are kept still", n)
	}
	return times(wires...)
}

// TestClaim: of two or three servers where an account comes on line at once one delivers what is kept.
func TestClaim(t *testing.T) {
	for _, n := range []int{2, 3} {
		if got := together(t, n, faults{}); got != "once" {
			t.Errorf("%d servers: %s", n, got)
		}
		if got := together(t, n, faults{claimNothing: true}); got == "once" {
			t.Errorf("%d servers without claims: not noticed", n)
		}
		if got := together(t, n, faults{claimAll: true}); got == "once" {
			t.Errorf("%d servers that take over any claim: not noticed", n)
		}
	}
}

// TestClaimOfSessionGone: what the first session has not got goes to that of another server, which had to wait.
func TestClaimOfSessionGone(t *testing.T) {
	x := newSeveral(t, 2, faults{})
	x.keep()
	s, first := x.login(0, 1000)
	_, second := x.login(1, 1<<30)
	if n := len(second.read()); n != 0 {
		t.Fatalf("the second server has delivered %d messages while the first one did", n)
	}
	first.Abort()
	x.worlds[0].end(s)
	x.wait()
	if got := times(first, second); got != "once" {
		t.Error(got)
	}
	if n := len(x.worlds[0].stored()); n != 0 {
		t.Errorf("%d messages are kept still", n)
	}
}

// TestClaimOfServerGone: the claim of a server that is away is taken over after a while, that of one that has
// started anew at once. Nothing is lost; what was with the network of the first can come twice.
func TestClaimOfServerGone(t *testing.T) {
	for name, fate := range map[string]Fate{"away": Away, "gone": Gone} {
		x := newSeveral(t, 2, faults{})
		x.keep()
		_, first := x.login(0, 0)
		_, second := x.login(1, 1<<30)
		x.meets(0, fate)
		x.later(0) // notes that it is away
		x.worlds[1].wg.Wait()
		if n := len(second.read()); (n > 0) != (fate == Gone) {
			t.Errorf("%s: %d messages at once", name, n)
		}
		x.later(awayTime)
		x.worlds[1].wg.Wait()
		if got := times(first, second); got != "once" {
			t.Errorf("%s: %s", name, got)
		}
		first.Abort()
		x.wait()
	}
}

// woken has a server be away, lose its claim, and be back: its session dies, and gives back a page that the other server has
// delivered.
func woken(t *testing.T, f faults) string {
	t.Helper()
	x := newSeveral(t, 2, f)
	x.keep()
	s, first := x.login(0, 0)
	_, second := x.login(1, 1<<30)
	x.meets(0, Away)
	x.later(0)
	x.later(awayTime)
	x.worlds[1].wg.Wait()
	x.meets(0, Here)
	first.Abort()
	x.worlds[0].end(s)
	x.wait()
	x.later(time.Second)
	x.wait()
	if n := len(x.worlds[0].stored()); n != 0 {
		t.Errorf("%d messages are kept still", n)
	}
	return times(first, second)
}

func TestClaimLost(t *testing.T) {
	if got := woken(t, faults{}); got != "once" {
		t.Error(got)
	}
	if got := woken(t, faults{putBack: true}); got == "once" {
		t.Error("the planted bug is not noticed")
	}
}
