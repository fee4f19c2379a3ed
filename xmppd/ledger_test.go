package xmppd_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

var (
	ledgerTime = flag.Duration("ledger", 3*time.Second, "how long the clients of TestLedger send")
	ledgerSeed = flag.Uint64("ledger-seed", 0, "of what they do; 0: by the clock")
)

// books is who has sent and got what.
type books struct {
	mu        sync.Mutex
	sent      map[string]bool // by id; true: the server has handled it for sure
	got       map[string]int
	bounced   map[string]int
	latest    map[string]int // number of the latest message, by receiver and sender
	late      map[string]int // messages that came behind a later one, by receiver
	wrong     []string       // those messages
	complaint []string
}

func (b *books) complain(format string, args ...any) {
	b.mu.Lock()
	b.complaint = append(b.complaint, fmt.Sprintf(format, args...))
	b.mu.Unlock()
}

func (b *books) bounce(id string) {
	b.mu.Lock()
	b.bounced[id]++
	b.mu.Unlock()
}

// deliver notes a message. Its id is sender, receiver and number.
func (b *books) deliver(name, id string) {
	part := strings.Split(id, ".")
	if len(part) != 3 || part[1] != name {
		b.complain("%s got message %q", name, id)
		return
	}
	n, _ := strconv.Atoi(part[2])
	pair := name + " " + part[0]
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got[id]++
	if b.got[id] == 1 && n < b.latest[pair] {
		b.late[name]++
		b.wrong = append(b.wrong, fmt.Sprintf("%s behind %d", id, b.latest[pair]))
	}
	b.latest[pair] = max(b.latest[pair], n)
}

// playerKind is a kind of client. It is done when the time is over, and has then got all that has come so far.
type playerKind struct {
	name    string
	secure  bool
	managed bool
	double  bool // it may get messages twice
	ordered bool // what one other sends it comes in order: it is always on line
	life    func(c *player) error
}

// player is one client of an account.
type player struct {
	kind          playerKind
	state         ledgerState
	books         *books
	rnd           *rand.Rand
	addr          string
	all           []string // names of all
	until         time.Time
	ready, quiet  *sync.WaitGroup // until all begin to send; until nobody sends any more
	begun, silent func()          // tells so of this one
	next          map[string]int  // number of the next message, by receiver
	pings         int
}

func (c *player) over() bool { return time.Now().After(c.until) }

func (c *player) dial() (*ledgerWire, error) {
	return dialLedger(c.books, &c.state, c.addr, c.kind.secure)
}

// online is a new session.
func (c *player) online() (*ledgerWire, error) {
	w, err := c.dial()
	if err != nil {
		return nil, err
	}
	if err := w.bind("r"); err != nil {
		_ = w.conn.Close()
		return nil, fmt.Errorf("bind %s: %w", c.state.name, err)
	}
	return w, nil
}

// talk sends some messages. With confirm it waits until the server has handled them.
func (c *player) talk(w *ledgerWire, confirm bool) bool {
	var ids []string
	for range 1 + c.rnd.IntN(8) {
		to := c.all[c.rnd.IntN(len(c.all))]
		c.next[to]++
		id := fmt.Sprintf("%s.%s.%d", c.state.name, to, c.next[to])
		ids = append(ids, id)
		c.note(id, c.state.managed) // said again until the server has it
		body := strings.Repeat("x", c.rnd.IntN(1+1000*c.rnd.IntN(4)))
		if w.count(fmt.Sprintf("<message type='chat' to='%s@%s' id='%s'><body>.%s</body></message>", to, xmppraw.Domain, id, body)) != nil {
			return false
		}
	}
	if !confirm {
		return true
	}
	c.pings++
	if !w.ping(fmt.Sprintf("p%d", c.pings)) {
		return false
	}
	for _, id := range ids {
		c.note(id, true)
	}
	return true
}

func (c *player) note(id string, sure bool) {
	c.books.mu.Lock()
	c.books.sent[id] = sure
	c.books.mu.Unlock()
}

func (c *player) pause(most time.Duration) { time.Sleep(time.Duration(c.rnd.Int64N(int64(most)))) } // what people do

// comeAndGo logs in, talks, and closes its stream.
func comeAndGo(c *player) error {
	for !c.over() {
		w, err := c.online()
		if err != nil {
			return err
		}
		for range c.rnd.IntN(6) {
			c.talk(w, true)
			c.pause(5 * time.Millisecond)
		}
		w.leave()
		c.pause(30 * time.Millisecond)
	}
	return nil
}

// resumes loses its connection again and again, and always resumes its session.
func resumes(c *player) error {
	w, err := c.online()
	if err != nil {
		return err
	}
	w.ping("ready")
	c.begun()
	c.ready.Wait()
	for !c.over() {
		for range c.rnd.IntN(6) {
			c.talk(w, false)
		}
		c.pause(20 * time.Millisecond)
		if c.rnd.IntN(3) > 0 {
			w.cut() // else the server finds out by the resumption
		}
		old := w
		if w, err = c.dial(); err != nil {
			return err
		}
		if c.rnd.IntN(4) == 0 {
			c.pause(50 * time.Millisecond)
		}
		old.stop()
		if err = w.resume(); err != nil {
			return fmt.Errorf("resume %s: %w", c.state.name, err)
		}
	}
	c.silent() // what comes from now on is no longer sent by others
	c.quiet.Wait()
	c.pings++
	if !w.ping(fmt.Sprintf("p%d", c.pings)) {
		c.books.complain("%s: its session has ended", c.state.name)
	}
	w.acknowledge()
	w.leave()
	return nil
}

// forgets loses its connection, and begins a new session: it may get again what it has not
// acknowledged.
func forgets(c *player) error {
	for !c.over() {
		w, err := c.online()
		if err != nil {
			return err
		}
		for range c.rnd.IntN(5) {
			c.talk(w, true)
			c.pause(5 * time.Millisecond)
		}
		w.cut()
	}
	return nil
}

// replaces logs in while its older session stands.
func replaces(c *player) error {
	var old *ledgerWire
	for !c.over() {
		w, err := c.online()
		if err != nil {
			return err
		}
		if old != nil {
			old.wait()
		}
		for range c.rnd.IntN(5) {
			c.talk(w, true)
		}
		old = w
		c.pause(10 * time.Millisecond)
	}
	if old != nil {
		old.leave()
	}
	return nil
}

// hesitates comes with a negative priority first, and goes off line now and then.
func hesitates(c *player) error {
	w, err := c.online()
	if err != nil {
		return err
	}
	for !c.over() {
		for _, p := range []string{"<presence><priority>-1</priority></presence>", "<presence/>", "<presence type='unavailable'/>", "<presence/>"} {
			if c.rnd.IntN(2) == 0 {
				_ = w.count(p)
			}
			c.talk(w, true)
			c.pause(5 * time.Millisecond)
		}
	}
	w.leave()
	return nil
}

func playerKinds() []playerKind {
	return []playerKind{
		{name: "plain", life: comeAndGo},
		{name: "tls", secure: true, life: comeAndGo},
		{name: "resumes", managed: true, ordered: true, life: resumes},
		{name: "resumestls", managed: true, ordered: true, secure: true, life: resumes},
		{name: "forgets", managed: true, double: true, life: forgets},
		{name: "replaces", life: replaces},
		{name: "hesitates", life: hesitates},
	}
}

// playLedger lets clients live, and returns the books when all is settled, or the wait is over.
func playLedger(t *testing.T, s *xmppd.Server, seed uint64, wait time.Duration) (*books, map[string]playerKind) {
	b := &books{sent: map[string]bool{}, got: map[string]int{}, bounced: map[string]int{}, latest: map[string]int{}, late: map[string]int{}}
	plain, secure, _ := s.Addrs()
	var all []string
	of := make(map[string]playerKind)
	for _, k := range playerKinds() {
		for i := range 2 {
			name := k.name + strconv.Itoa(i)
			if err := s.Accounts().Add(context.Background(), name, xmppraw.Password, ""); err != nil {
				t.Fatal(err)
			}
			all, of[name] = append(all, name), k
		}
	}
	var wg, ready, quiet sync.WaitGroup
	quiet.Add(len(all))
	ready.Add(len(all))
	until := time.Now().Add(*ledgerTime)
	for i, name := range all {
		k := of[name]
		c := &player{kind: k, books: b, rnd: rand.New(rand.NewPCG(seed, uint64(i))), addr: plain, all: all, until: until, ready: &ready, quiet: &quiet, begun: sync.OnceFunc(ready.Done), silent: sync.OnceFunc(quiet.Done), next: map[string]int{}} //nolint:gosec // of a test
		c.state.name, c.state.managed = name, k.managed
		if k.secure {
			c.addr = secure
		}
		wg.Go(func() {
			defer c.silent()
			defer c.begun()
			if !k.ordered {
				c.begun()
				ready.Wait()
			}
			if err := k.life(c); err != nil {
				b.complain("%v", err)
			}
		})
	}
	wg.Wait()
	// What is kept. What a session has left that went with its connection may still be on its way.
	for end := time.Now().Add(wait); ; {
		for _, name := range all {
			fetch(b, name, plain)
		}
		if b.missing() == 0 || time.Now().After(end) {
			return b, of
		}
	}
}

// fetch gets what is kept for an account.
func fetch(b *books, name, addr string) {
	c := &player{books: b, addr: addr}
	c.state.name = name
	w, err := c.online()
	if err != nil {
		b.complain("%v", err)
		return
	}
	w.ping("fetch")
	w.leave()
}

// missing counts what the server has handled and nobody got.
func (b *books) missing() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, sure := range b.sent {
		if sure && b.got[id]+b.bounced[id] == 0 {
			n++
		}
	}
	return n
}

func (b *books) count() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.got {
		n += k
	}
	return n
}

// audit compares what was sent with what came.
func (b *books) audit(of map[string]playerKind) (lost, doubled, sent int) {
	for id, sure := range b.sent {
		sent++
		to := strings.Split(id, ".")[1]
		switch n := b.got[id] + b.bounced[id]; {
		case n == 0 && sure:
			lost++
			b.complain("lost: %s", id)
		case n > 1 && !of[to].double:
			doubled++
			b.complain("came %d times, and %d times back: %s", b.got[id], b.bounced[id], id)
		}
	}
	for name, n := range b.late {
		if of[name].ordered {
			b.complain("%s got %d messages out of order: %v", name, n, slices.DeleteFunc(b.wrong, func(s string) bool { return !strings.Contains(s, "."+name+".") }))
		}
	}
	return lost, doubled, sent
}

// TestLedger keeps books of messages: clients of several kinds send one another numbered messages while
// they come and go in every way. In the end each message is somewhere, and no more than once.
func TestLedger(t *testing.T) {
	seed := *ledgerSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) //nolint:gosec // any
	}
	run := func(t *testing.T, f router.Faults, wait time.Duration) (lost, doubled int, complaints []string) {
		s := serve(t, options{router: f, cfg: func(c *xmppd.Config) {
			c.Modules.Offline.Messages, c.Modules.Offline.Bytes = 1_000_000, 1<<30
		}})
		b, of := playLedger(t, s, seed, wait)
		lost, doubled, sent := b.audit(of)
		t.Logf("-ledger-seed %d: %d messages came %d times, %d were bounced", seed, sent, b.count(), len(b.bounced))
		if sent < 100 {
			t.Errorf("only %d messages", sent)
		}
		return lost, doubled, b.complaint
	}
	lost, doubled, complaints := run(t, router.Faults{}, 3*patience)
	if lost+doubled+len(complaints) > 0 {
		t.Errorf("%d lost, %d doubled; -ledger-seed %d\n%s", lost, doubled, seed, strings.Join(complaints[:min(len(complaints), 30)], "\n"))
	}
	if lost, _, _ := run(t, router.Faults{LoseReturned: true}, patience/12); lost == 0 {
		t.Error("the planted bug is not noticed")
	}
}
