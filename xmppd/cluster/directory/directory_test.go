package directory

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// net is servers in one thread; frames wait until the test lets them pass.
type network struct {
	t       *testing.T
	faults  Faults
	now     time.Time
	servers map[string]*Directory // connected ones
	queue   []packet
	passed  int
	lost    []string // conflicts: SERVER ACCOUNT/RESOURCE
}

type packet struct {
	from, to string
	frame    []byte
}

type ways struct {
	n    *network
	self string
}

func (w ways) Send(to string, frame []byte) error {
	w.n.queue = append(w.n.queue, packet{w.self, to, frame})
	return nil
}

func newNetwork(t *testing.T, f Faults, names ...string) *network {
	n := &network{t: t, faults: f, now: time.Unix(1000, 0), servers: make(map[string]*Directory)}
	for _, name := range names {
		n.join(name, New(n.config(name)))
	}
	n.run()
	n.now = n.now.Add(time.Minute)
	return n
}

func (n *network) config(name string) Config {
	return Config{
		Self: name, Links: ways{n, name}, Log: slog.New(slog.DiscardHandler), Faults: n.faults, Now: func() time.Time { return n.now },
		Conflict: func(account, resource string) { n.lost = append(n.lost, name+" "+account+"/"+resource) },
	}
}

func (n *network) names() (out []string) {
	for name := range n.servers {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (n *network) tellServers() {
	for name, d := range n.servers {
		d.Servers(slices.DeleteFunc(n.names(), func(s string) bool { return s == name }))
	}
}

func (n *network) join(name string, d *Directory) {
	n.servers[name] = d
	n.tellServers()
}

// cut takes a server away; frames on their way from and to it are lost.
func (n *network) cut(name string) *Directory {
	d := n.servers[name]
	delete(n.servers, name)
	n.queue = slices.DeleteFunc(n.queue, func(p packet) bool { return p.from == name || p.to == name })
	n.tellServers()
	d.Servers(nil)
	return d
}

// run lets all frames pass.
func (n *network) run() { n.pass(1 << 30) }

// pass lets so many frames pass.
func (n *network) pass(frames int) {
	for ; len(n.queue) > 0 && frames > 0; frames-- {
		p := n.queue[0]
		n.queue = n.queue[1:]
		n.passed++
		if d := n.servers[p.to]; d != nil && n.servers[p.from] != nil {
			d.Receive(p.from, p.frame)
		}
	}
}

// find asks one server where an account is.
func (n *network) find(server, account string) (e Entry) {
	n.t.Helper()
	done := false
	n.servers[server].Ask(account, func(found Entry) { e, done = found, true })
	n.run()
	if !done {
		n.t.Fatalf("%s has no answer for %s", server, account)
	}
	return e
}

func one(resource string, prio int) []Session { return []Session{{resource, prio, 1}} }

func TestFind(t *testing.T) {
	n := newNetwork(t, Faults{}, "a", "b", "c")
	n.servers["a"].Set("x@d", one("r", 3))
	n.servers["b"].Set("x@d", one("q", 5))
	n.run()
	for _, s := range n.names() {
		e := n.find(s, "x@d")
		if e.Find("r") != "a" || e.Find("q") != "b" || e.Find("z") != "" || e.Best("a", func(string) bool { return false }) != "b" {
			t.Errorf("%s: %v", s, e)
		}
		if e := n.find(s, "nobody@d"); len(e) != 0 {
			t.Errorf("nobody is at %v", e)
		}
	}
	if o := n.servers["a"].Others("x@d"); o.Find("q") != "b" || len(o) != 1 {
		t.Errorf("a's view: %v", o)
	}
	n.servers["b"].Set("x@d", nil)
	n.run()
	if o := n.servers["a"].Others("x@d"); len(o) != 0 {
		t.Errorf("a's view when b has none: %v", o)
	}
}

// TestCacheIsMended: what is remembered saves the question, and is dropped by who was addressed in error.
func TestCacheIsMended(t *testing.T) {
	n := newNetwork(t, Faults{}, "a", "b", "c", "d")
	account := "" // neither a nor b owns it
	for i := 0; account == ""; i++ {
		if o := n.servers["a"].shards.of(fmt.Sprint(i)); !slices.Contains(o, "a") && !slices.Contains(o, "b") {
			account = fmt.Sprint(i)
		}
	}
	n.servers["b"].Set(account, one("r", 1))
	n.run()
	n.find("a", account)
	before := n.passed
	if e := n.find("a", account); e.Find("r") != "b" || n.passed != before {
		t.Errorf("asked again: %v", e)
	}
	n.servers["b"].Set(account, nil)
	n.servers["c"].Set(account, one("r", 1))
	n.run()
	n.servers["b"].Wrong("a", account, account)
	n.run()
	if e := n.find("a", account); e.Find("r") != "c" || len(e) != 1 {
		t.Errorf("after the correction: %v", e)
	}
}

// TestNewResource: a resource that was bound after an account was looked up is found.
func TestNewResource(t *testing.T) {
	for _, planted := range []bool{false, true} {
		n := newNetwork(t, Faults{NoSecondLook: planted}, "a", "b", "c")
		asker, home := "", "" // the asker does not own the account's part
		for _, s := range n.names() {
			if owners := n.servers["a"].shards.of("x@d"); !slices.Contains(owners, s) {
				asker, home = s, owners[0]
			}
		}
		n.servers[home].Set("x@d", one("old", 0))
		n.run()
		n.find(asker, "x@d")
		n.servers[home].Set("x@d", one("new", 0))
		n.run()
		d := n.servers[asker]
		if _, known := d.Lookup("x@d", "old"); !known {
			t.Error("what is remembered has to be asked for")
		}
		e, known := d.Lookup("x@d", "new")
		if gone := known && e.Find("new") == ""; gone != planted {
			t.Errorf("planted %v: taken for gone: %v", planted, gone)
		}
		if !planted && n.find(asker, "x@d").Find("new") != home {
			t.Error("not found")
		}
	}
}

func TestConflicts(t *testing.T) {
	n := newNetwork(t, Faults{}, "a", "b", "c")
	n.servers["a"].Set("x@d", []Session{{"r", 0, 9}})
	n.run()
	n.servers["b"].Set("x@d", []Session{{"r", 0, 5}}) // its clock is slow: it wins all the same
	n.run()
	if !slices.Equal(n.lost, []string{"a x@d/r"}) {
		t.Errorf("lost: %v", n.lost)
	}
	// Two sides of a broken network have bound the same resource: when they meet the later one stays.
	n.servers["a"].Set("x@d", nil)
	n.run()
	n.lost = nil
	b := n.cut("b")
	n.servers["c"].Set("x@d", []Session{{"r", 0, 7}})
	n.run()
	n.join("b", b)
	n.run()
	for i := range n.lost { // told by each that was an owner on its side
		if n.lost[i] != "b x@d/r" {
			t.Errorf("lost: %v", n.lost)
		}
	}
	if len(n.lost) == 0 {
		t.Error("both stay")
	}
}

// storm lets servers and sessions come and go, and returns what is wrong when all is quiet again.
func storm(t *testing.T, seed uint64, f Faults) (wrong []string) {
	rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a seed
	all := []string{"a", "b", "c", "d", "e"}
	n := newNetwork(t, f, all...)
	away := make(map[string]*Directory)
	has := make(map[string]map[string]int) // server: account: priority
	for _, s := range all {
		has[s] = make(map[string]int)
	}
	for range 200 {
		s := all[rng.IntN(len(all))]
		d := n.servers[s]
		switch {
		case rng.IntN(10) == 0 && d != nil && len(n.servers) > 1:
			away[s] = n.cut(s)
		case rng.IntN(3) == 0 && d == nil:
			n.join(s, away[s])
			delete(away, s)
		default:
			if d == nil {
				d = away[s]
			}
			account := fmt.Sprint(rng.IntN(20))
			if rng.IntN(2) == 0 {
				delete(has[s], account)
				d.Set(account, nil)
			} else {
				has[s][account] = rng.IntN(5)
				d.Set(account, one("r-"+s, has[s][account]))
			}
		}
		if rng.IntN(2) == 0 {
			n.run()
		}
	}
	for s, d := range away {
		n.join(s, d)
	}
	n.run()
	n.now = n.now.Add(time.Minute)
	for _, asker := range all {
		for i := range 20 {
			account := fmt.Sprint(i)
			e := n.find(asker, account)
			for _, s := range all {
				prio, there := has[s][account]
				got := e.Of(s)
				if there != (len(got) == 1) || there && got[0].Priority != prio {
					wrong = append(wrong, fmt.Sprintf("%s about %s at %s: %v, not %v", asker, account, s, got, prio))
				}
			}
		}
	}
	return wrong
}

func TestStorm(t *testing.T) {
	for seed := range uint64(50) {
		if wrong := storm(t, seed, Faults{}); len(wrong) > 0 {
			t.Fatalf("seed %d: %d answers, such as %s", seed, len(wrong), wrong[0])
		}
	}
}

// returned has an owner of an account be cut off and come back, and returns what it knows of the account then. It takes
// itself for an owner of all while it is alone, and has no reason to ask.
func returned(t *testing.T, f Faults) Entry {
	n := newNetwork(t, f, "a", "b", "c")
	account := accountOf(t, n.names(), []string{"a", "b"}, []string{"a", "c"}, []string{"a", "c"})
	n.servers["c"].Set(account, one("r", 1))
	n.run()
	b := n.cut("b")
	n.run()
	n.join("b", b)
	n.run()
	n.now = n.now.Add(time.Minute)
	e, _ := n.servers["b"].Lookup(account, "")
	return e
}

func TestOwnerThatReturnsIsTold(t *testing.T) {
	if e := returned(t, Faults{}); e.Find("r") != "c" {
		t.Errorf("the owner knows %v", e)
	}
	if e := returned(t, Faults{TellNobody: true}); e.Find("r") == "c" {
		t.Error("it knows without having been told")
	}
}

// gone tells where an account is whose only server was cut off.
func gone(t *testing.T, f Faults) Entry {
	n := newNetwork(t, f, "a", "b", "c")
	account := "" // its owners stay
	for i := 0; account == ""; i++ {
		if !slices.Contains(n.servers["a"].shards.of(fmt.Sprint(i)), "c") {
			account = fmt.Sprint(i)
		}
	}
	n.servers["c"].Set(account, one("r", 0))
	n.run()
	n.cut("c")
	n.now = n.now.Add(time.Minute)
	return n.find("a", account)
}

func TestNoGhosts(t *testing.T) {
	if e := gone(t, Faults{}); len(e) != 0 {
		t.Errorf("found %v", e)
	}
	if e := gone(t, Faults{KeepGone: true}); len(e) == 0 {
		t.Error("the planted bug does not show")
	}
}

func FuzzReceive(f *testing.F) {
	f.Add(putFrame("x@d", one("r", 1), false))
	f.Add(answerFrame("x@d", Entry{{"a", one("r", 1)}}))
	f.Add(conflictFrame("x@d", "r"))
	f.Add([]byte{kindView, 1, 'x', 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, frame []byte) {
		n := newNetwork(t, Faults{}, "a", "b")
		n.servers["a"].Receive("b", frame)
		n.run()
	})
}
