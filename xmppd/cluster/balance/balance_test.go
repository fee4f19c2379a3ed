package balance

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// world is servers whose reports arrive after a while, with a clock of its own.
type world struct {
	now     time.Time
	servers []*server
	random  *rand.Rand
	frames  []sending
	delay   time.Duration // of reports
}

type server struct {
	*Balancer
	w     *world
	name  string
	bound int
	takes bool
	cut   bool
	cpu   int
}

// sending is a report on its way, or a client that takes a while for something.
type sending struct {
	at time.Time
	do func()
}

func (s *server) Connected() (out []string) {
	for _, o := range s.w.servers {
		if o != s && !o.cut && !s.cut {
			out = append(out, o.name)
		}
	}
	return out
}

func (s *server) Send(to string, frame []byte) error {
	s.w.after(s.w.delay, func() { s.w.named(to).Receive(s.name, frame) })
	return nil
}

func (w *world) after(d time.Duration, do func()) {
	w.frames = append(w.frames, sending{w.now.Add(d), do})
}

func (w *world) named(name string) *server {
	return w.servers[slices.IndexFunc(w.servers, func(s *server) bool { return s.name == name })]
}

// newWorld has servers x1, x2 and so on, each in the zone given.
func newWorld(zones []string, f Faults) *world {
	w := &world{now: time.Unix(1e9, 0), random: rand.New(rand.NewPCG(1, 2)), delay: 50 * time.Millisecond} //nolint:gosec // a test's
	for i, zone := range zones {
		s := &server{w: w, name: fmt.Sprintf("x%d", i+1), takes: true}
		s.Balancer = New(Config{
			Self: s.name, Zone: zone, Links: s, C2S: s.name + ":5222", Faults: f,
			Sessions: func() int { return s.bound }, Takes: func() bool { return s.takes }, CPU: func() int { return s.cpu },
			Now: func() time.Time { return w.now }, Draw: w.random.IntN, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		w.servers = append(w.servers, s)
	}
	for _, s := range w.servers {
		for _, o := range s.Connected() {
			s.Up(o)
		}
	}
	w.pass(w.delay)
	return w
}

// pass lets time go by, in steps.
func (w *world) pass(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(10 * time.Millisecond)
		due := w.frames
		w.frames = nil
		for _, f := range due {
			if f.at.After(w.now) {
				w.frames = append(w.frames, f)
			} else {
				f.do()
			}
		}
		if w.now.UnixMilli()%tellNews.Milliseconds() == 0 {
			for _, s := range w.servers {
				s.Report(false)
			}
		}
	}
}

// come has a client log in at a server, or where it is sent to: each login takes a while.
func (w *world) come(at *server, zone string, takes time.Duration) {
	w.visit(at, zone, 0, "", takes)
}

func (w *world) visit(at *server, zone string, hops int, from string, takes time.Duration) {
	if hops > 9 {
		return
	}
	addr := at.Place(zone, hops, false)
	if addr == "" {
		w.after(takes, func() {
			at.bound++
			at.Settled(from, true)
		})
		return
	}
	next := w.named(strings.TrimSuffix(addr, ":5222"))
	w.after(takes, func() { w.visit(next, zone, hops+1, at.name, takes) })
}

func (w *world) spread() (least, most int) {
	least = 1 << 30
	for _, s := range w.servers {
		least, most = min(least, s.bound), max(most, s.bound)
	}
	return least, most
}

// TestSpread: 3,000 clients want one of three servers, at several rates, and the reports are late.
func TestSpread(t *testing.T) {
	for name, every := range map[string]int{"slowly": 1, "fast": 20, "all at once": 3000} {
		t.Run(name, func(t *testing.T) {
			w := newWorld([]string{"", "", ""}, Faults{})
			for i := range 3000 {
				if i%every == 0 {
					w.pass(10 * time.Millisecond)
				}
				w.come(w.servers[0], "", 200*time.Millisecond)
			}
			w.pass(2 * time.Second)
			if least, most := w.spread(); least < 950 || most > 1050 {
				t.Errorf("from %d to %d sessions", least, most)
			}
		})
	}
}

func TestFaultUncounted(t *testing.T) {
	w := newWorld([]string{"", "", ""}, Faults{Uncounted: true})
	for range 3000 {
		w.come(w.servers[0], "", 200*time.Millisecond)
	}
	w.pass(2 * time.Second)
	if least, most := w.spread(); least >= 950 && most <= 1050 {
		t.Errorf("from %d to %d sessions without counting who is on its way", least, most)
	}
}

// TestHerd: clients come to all but one of several servers at the same time; that one is not run over.
func TestHerd(t *testing.T) {
	w := newWorld(make([]string, 6), Faults{})
	for _, s := range w.servers[1:] {
		s.bound = 1000
	}
	w.pass(time.Second)
	for range 100 {
		for _, s := range w.servers[1:] {
			w.come(s, "", 200*time.Millisecond)
		}
		w.pass(10 * time.Millisecond)
	}
	w.pass(2 * time.Second)
	if _, most := w.spread(); w.servers[0].bound > most*11/10 || w.servers[0].bound < 200 {
		t.Errorf("the empty server has %d sessions, others up to %d", w.servers[0].bound, most)
	}
}

// sentOn makes a server send a client away that another one had sent.
func sentOn(f Faults) bool {
	w := newWorld([]string{"", ""}, f)
	w.servers[0].bound, w.servers[1].bound = 1000, 0
	w.pass(time.Second)
	return w.servers[0].Place("", 1, false) != ""
}

func TestNobodyIsSentTwice(t *testing.T) {
	if sentOn(Faults{}) {
		t.Error("a client that was sent here is sent on")
	}
	if !sentOn(Faults{SendOn: true}) {
		t.Error("the planted bug does not show")
	}
}

// unfit counts the clients that are sent to a server that had better get none.
func unfit(f Faults, spoil func(*server)) (sent int) {
	w := newWorld([]string{"", "", ""}, f)
	w.servers[0].bound = 1000
	w.pass(time.Second)
	spoil(w.servers[1])
	w.pass(time.Second)
	for range 100 {
		if w.servers[0].Place("", 0, false) == "x2:5222" {
			sent++
		}
	}
	return sent
}

func TestNobodyIsSentToAServerThatTakesNone(t *testing.T) {
	for name, spoil := range map[string]func(*server){
		"leaving": func(s *server) { s.takes = false },
		"cut off": func(s *server) {
			s.cut = true
			s.w.servers[0].Down(s.name)
		},
	} {
		if n := unfit(Faults{}, spoil); n != 0 {
			t.Errorf("%s: %d clients are sent there", name, n)
		}
		if n := unfit(Faults{Leaving: true}, spoil); n == 0 {
			t.Errorf("%s: the planted bug does not show", name)
		}
	}
	if n := unfit(Faults{}, func(s *server) { s.cpu = busy }); n != 0 {
		t.Errorf("%d clients are sent to a server without CPU", n)
	}
}

// TestReportsGrowOld: a server that has said nothing for long gets no clients, whatever it had said.
func TestReportsGrowOld(t *testing.T) {
	w := newWorld([]string{"", ""}, Faults{})
	w.servers[0].bound = 1000
	w.now = w.now.Add(fresh)
	if addr := w.servers[0].Place("", 0, false); addr != "" {
		t.Errorf("sent to %s", addr)
	}
}

// TestLeavingSendsAway: who leaves sends everybody away, and to its own zone if that is possible.
func TestLeavingSendsAway(t *testing.T) {
	w := newWorld([]string{"a", "b", "a"}, Faults{})
	w.servers[0].takes = false
	w.servers[2].bound = 5000
	w.pass(time.Second)
	if addr := w.servers[0].Place("", 0, false); addr != "x3:5222" {
		t.Errorf("sent to %q", addr)
	}
	w.servers[2].takes = false
	w.pass(time.Second)
	if addr := w.servers[0].Place("", 0, false); addr != "x2:5222" {
		t.Errorf("sent to %q", addr)
	}
}

func TestZones(t *testing.T) {
	w := newWorld([]string{"a", "a", "b", "b"}, Faults{})
	w.servers[0].bound, w.servers[1].bound, w.servers[3].bound = 1000, 500, 20
	w.pass(time.Second)
	for _, c := range []struct {
		zone string
		want []string
	}{
		{"", []string{"x2"}}, {"a", []string{"x2"}}, {"b", []string{"x3"}}, {"c", []string{"x2"}},
	} {
		if addr := w.servers[0].Place(c.zone, 0, false); !slices.Contains(c.want, strings.TrimSuffix(addr, ":5222")) {
			t.Errorf("zone %q: sent to %q, want %v", c.zone, addr, c.want)
		}
	}
	if addr := w.servers[1].Place("", 0, false); addr != "" {
		t.Errorf("sent to %s, though this server has less to do than the others of its zone", addr)
	}
	if addr := w.servers[0].Place("", 0, true); addr != "" {
		t.Errorf("sent to %s by TLS, where no server has an address", addr)
	}
}

// TestLostClientsAreForgotten: who was sent away and has never come does not count for ever.
func TestLostClientsAreForgotten(t *testing.T) {
	w := newWorld([]string{"", ""}, Faults{})
	w.servers[0].bound = 100
	w.pass(time.Second)
	for w.servers[0].Place("", 0, false) != "" {
	}
	for range 4 {
		w.pass(inTime)
		w.servers[0].Place("", 0, false)
	}
	w.servers[0].mu.Lock()
	defer w.servers[0].mu.Unlock()
	if n := w.servers[0].load("x2"); n > 2 {
		t.Errorf("%d clients count as on their way for ever", n)
	}
}

func TestReportOfAnyBytes(t *testing.T) {
	w := newWorld([]string{"", ""}, Faults{})
	for _, frame := range []string{"", "{", "[]", `{"n":"many"}`, `{"new":1}`} {
		w.servers[0].Receive("x2", []byte(frame))
	}
}

// TestNoCPULeft: who has no CPU left sends clients to a server that has, though this has more sessions; not where none has, nor
// as long as there is some.
func TestNoCPULeft(t *testing.T) {
	for _, c := range []struct {
		own, others int
		away        bool
	}{{busy - 1, 0, false}, {busy, 0, true}, {busy, busy - lower, true}, {busy, busy - lower + 1, false}, {1000, 1000, false}} {
		for _, planted := range []bool{false, true} {
			w := newWorld([]string{"", "", ""}, Faults{KeepAll: planted})
			w.servers[0].cpu, w.servers[0].bound = c.own, 100
			for _, s := range w.servers[1:] {
				s.cpu, s.bound = c.others, 102
			}
			w.pass(tellAll)
			w.come(w.servers[0], "", 10*time.Millisecond)
			w.pass(time.Second)
			if away := w.servers[0].bound == 100; away != (c.away && !planted) {
				t.Errorf("planted %v: own %d, others %d per mille: sent away %v", planted, c.own, c.others, away)
			}
		}
	}
}
