package appclient

import (
	"bytes"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// trio is a client without a stream, and three replicas of each partition; dn1 leads the first.
type trio struct {
	t *testing.T
	h handler
	e *engine
}

func newTrio(t *testing.T, f faults) *trio {
	t.Helper()
	cfg := Config{JID: "app@localhost"}.withDefaults()
	c := &Client{cfg: cfg, stale: make(chan struct{}, 1), ready: make(chan struct{})}
	h := c.handler(0, 1<<20)
	c.engine = newEngine(&cfg, func() {}, func() {}, func() {})
	c.engine.faults = f
	var members []ring.Member
	for i := range 3 {
		members = append(members, ring.Member{ID: uint64(i + 1), JID: jid(i + 1), Store: fmt.Sprintf("00000000-0000-4000-8000-00000000000%d", i+1), State: ring.Active})
	}
	doc, err := ring.New(members, ring.Options{Cluster: "00000000-0000-4000-8000-0000000000ff", Partitions: 3, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	c.streams[0].roster.begin("app@localhost/a")
	c.engine.connected(0)
	if err := c.engine.install(doc); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		c.engine.available(0, jid(i+1), &wire.Health{State: "ok", Epoch: 1})
	}
	c.engine.parts[0].leader = c.engine.nodes[jid(1)]
	return &trio{t, h, c.engine}
}

func jid(i int) string { return fmt.Sprintf("dn%d@localhost/store", i) }

// asked is what a Get has sent.
type asked struct {
	c        *call
	id       string // of the IQ with the Get
	tag      string
	with     string // the member that is to confirm it; "": none
	to       string // whom the question goes to
	question string // its id
}

var (
	getIQ   = regexp.MustCompile(`<iq type='get' id='([^']*)' to='([^']*)'><ops [^>]*><get tag='(\d+)' partition='0' root='r' path='p'(?: with='(\d)')?/></ops></iq>`)
	termsIQ = regexp.MustCompile(`<iq type='get' id='([^']*)' to='([^']*)'><terms xmlns='urn:rosterdb:store:1' member='(\d)'>0</terms></iq>`)
)

// get begins a Get.
func (x *trio) get() *asked {
	x.e.mu.Lock()
	c := x.e.pool.Get().(*call)
	c.kind, c.part, c.read = readCall, x.e.parts[0], op.Read{Kind: op.Get, Root: "r", Path: "p"}
	x.e.admit(c)
	x.e.mu.Unlock()
	return x.sent(c)
}

// sent is what leaves for a Get now.
func (x *trio) sent(c *call) *asked {
	x.t.Helper()
	b := x.e.fill(nil, &x.h.out, 0)
	m := getIQ.FindSubmatch(b)
	if m == nil {
		x.t.Fatalf("no get leaves: %s", b)
	}
	a := &asked{c: c, id: string(m[1]), tag: string(m[3]), with: string(m[4])}
	if q := termsIQ.FindSubmatch(b); q != nil {
		a.question, a.to = string(q[1]), string(q[2])
		if string(q[3]) != a.with || a.to == string(m[2]) {
			x.t.Fatalf("the two questions do not fit: %s", b)
		}
	}
	if (a.question == "") != (a.with == "") || bytes.Count(b, []byte("<iq ")) > 2 {
		x.t.Fatalf("left: %s", b)
	}
	return a
}

func (x *trio) give(s string) {
	x.t.Helper()
	st, _, err := stanza.NewScanner(stanza.Limits{}).Next([]byte(s))
	if err != nil || st == nil {
		x.t.Fatal(err)
	}
	x.h.Stanza(nil, st)
}

// leaderSays gives the leader's answer; term 0: it has confirmed it.
func (x *trio) leaderSays(a *asked, term int) {
	attr := ""
	if term != 0 {
		attr = fmt.Sprintf(" term='%d'", term)
	}
	x.give(`<iq type='result' from='` + jid(1) + `' id='` + a.id + `'><results xmlns='urn:rosterdb:store:1' epoch='1'><read tag='` + a.tag + `' code='ok'` + attr +
		`><object path='p' version='1' size='1'><v>dg==</v></object></read></results></iq>`)
}

func (x *trio) otherSays(a *asked, from, member string, term int) {
	x.give(fmt.Sprintf(`<iq type='result' from='%s' id='%s'><terms xmlns='urn:rosterdb:store:1' member='%s'>%d</terms></iq>`, from, a.question, member, term))
}

func (x *trio) ended(a *asked) bool {
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	return a.c.state == finished && a.c.err == nil && a.c.rres.Code == op.OK && string(a.c.rres.Objects[0].Value) == "v"
}

// plainly sees to it that the Get is sent once more, for the leader to confirm, and ends.
func (x *trio) plainly(what string, a *asked) {
	x.t.Helper()
	if x.ended(a) {
		x.t.Errorf("%s: taken for a confirmation", what)
		return
	}
	if again := x.sent(a.c); again.with != "" {
		x.t.Errorf("%s: sent again to be confirmed by %s", what, again.with)
	} else if x.leaderSays(again, 0); !x.ended(a) {
		x.t.Errorf("%s: the second answer does not end it", what)
	}
}

// TestConfirmedGet: the two answers end a Get in any order, and neither alone does.
func TestConfirmedGet(t *testing.T) {
	x := newTrio(t, faults{})
	for _, leaderFirst := range []bool{true, false} {
		a := x.get()
		if a.with == "" {
			t.Fatal("nobody is asked to confirm")
		}
		if leaderFirst {
			x.leaderSays(a, 7)
		} else {
			x.otherSays(a, a.to, a.with, 7)
		}
		if x.ended(a) {
			t.Fatalf("leader first %v: one answer is enough", leaderFirst)
		}
		if leaderFirst {
			x.otherSays(a, a.to, a.with, 7)
		} else {
			x.leaderSays(a, 7)
		}
		if !x.ended(a) {
			t.Fatalf("leader first %v: both have answered, and it does not end", leaderFirst)
		}
	}
	if a := x.get(); true {
		x.leaderSays(a, 0)
		if !x.ended(a) {
			t.Error("an answer that needs no confirmation waits for one")
		}
	}
	if len(x.e.tags) != 0 {
		t.Errorf("%d tags are left", len(x.e.tags))
	}
}

// TestOtherTermConfirmsNothing, lower or higher. The planted mistake takes any.
func TestOtherTermConfirmsNothing(t *testing.T) {
	for _, said := range []int{6, 8, 0} {
		for _, leaderFirst := range []bool{true, false} {
			for _, fault := range []bool{false, true} {
				x := newTrio(t, faults{anyTermConfirms: fault})
				a := x.get()
				if leaderFirst {
					x.leaderSays(a, 7)
				}
				x.otherSays(a, a.to, a.with, said)
				if !leaderFirst {
					x.leaderSays(a, 7)
				}
				if !fault {
					x.plainly(fmt.Sprintf("term %d for 7", said), a)
				} else if !x.ended(a) {
					t.Error("the planted mistake changes nothing")
				}
			}
		}
	}
}

// TestConfirmationIsOfItsRead: what a member has said counts for no Get that began later.
func TestConfirmationIsOfItsRead(t *testing.T) {
	x := newTrio(t, faults{})
	first := x.get()
	x.otherSays(first, first.to, first.with, 7)
	x.leaderSays(first, 7)
	second := x.get()
	x.leaderSays(second, 7)
	x.otherSays(first, first.to, first.with, 7) // late, or twice
	if x.ended(second) {
		t.Fatal("a Get is confirmed by what was asked before it began")
	}
	x.otherSays(second, second.to, second.with, 7)
	if !x.ended(second) {
		t.Error("its own confirmation does not end it")
	}
}

// TestNoConfirmation: whatever does not come from the member asked, or is an error, or
// its departure, lets the leader confirm by itself.
func TestNoConfirmation(t *testing.T) {
	for what, f := range map[string]func(*trio, *asked){
		"another member's disk": func(x *trio, a *asked) { x.otherSays(a, a.to, "9", 7) },
		"an error": func(x *trio, a *asked) {
			x.give(`<iq type='error' from='` + a.to + `' id='` + a.question + `'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`)
		},
		"too many terms": func(x *trio, a *asked) {
			x.give(`<iq type='result' from='` + a.to + `' id='` + a.question + `'><terms xmlns='urn:rosterdb:store:1' member='` + a.with + `'>7 7</terms></iq>`)
		},
		"departure": func(x *trio, a *asked) { x.e.unavailable(0, a.to) },
	} {
		x := newTrio(t, faults{})
		a := x.get()
		x.leaderSays(a, 7)
		x.otherSays(a, "dn9@localhost/store", a.with, 7)
		if x.ended(a) {
			t.Errorf("%s: anybody confirms", what)
		}
		f(x, a)
		x.plainly(what, a)
		if next := x.get(); next.to == a.to {
			t.Errorf("%s: it is asked again at once", what)
		}
	}
}

// silent lets the time of a Get's confirmation pass, and then stand still: who was silent
// is asked no more until the test says so.
func (x *trio) silent(a *asked) {
	x.t.Helper()
	x.leaderSays(a, 7)
	if due := a.c.due - x.e.now(); due > confirmFirst {
		x.t.Errorf("a confirmation is waited for for %v", due)
	}
	n := x.e.nodes[a.to]
	before, times := x.e.now(), n.silences
	a.c.due = 0
	x.e.sweep()
	if n.silences != times+1 || n.mute < before+silentFirst<<times {
		x.t.Errorf("%s is silent for the time %d: it counts %d, and is asked again after %v", a.to, times+1, n.silences, n.mute-before)
	}
	n.mute = time.Hour
}

// TestSilentMember: who does not confirm in time holds up those Gets only that have asked
// it, and others are asked for a while, which gets longer until it answers.
func TestSilentMember(t *testing.T) {
	x := newTrio(t, faults{})
	a := x.get()
	x.silent(a)
	x.plainly("silence", a)
	b := x.get()
	if b.with == "" || b.to == a.to {
		t.Fatalf("%s was silent, %q is asked", a.to, b.to)
	}
	x.silent(b)
	x.plainly("silence of both", b)
	if c := x.get(); c.with != "" {
		t.Errorf("all are silent, and %s is asked", c.to)
	} else {
		x.leaderSays(c, 0)
	}
	x.e.nodes[a.to].mute = 0 // the while is over
	d := x.get()
	if d.to != a.to {
		t.Fatalf("it is asked no more, but %q", d.to)
	}
	x.silent(d)
	x.plainly("silence again", d)
	x.otherSays(b, b.to, b.with, 7) // it lives, and is slow
	if e := x.get(); e.to != b.to || x.e.nodes[b.to].silences != 0 {
		t.Errorf("%s has answered at last, and %q is asked", b.to, e.to)
	}
}

// TestLateConfirmation: a Get that was sent again takes the first two answers that fit.
func TestLateConfirmation(t *testing.T) {
	x := newTrio(t, faults{})
	a := x.get()
	a.c.due = 0 // the leader is slow
	x.e.sweep()
	again := x.sent(a.c)
	if again.with != "" {
		t.Fatal("a second try is to be confirmed by another, too")
	}
	x.otherSays(a, a.to, a.with, 7)
	x.leaderSays(a, 7)
	if !x.ended(a) {
		t.Error("the answers to the first try are good, and not taken")
	}
}
