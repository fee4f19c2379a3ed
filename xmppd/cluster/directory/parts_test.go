package directory

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// mesh is servers whose links are cut and made one by one. Each end of a link notices that later, and frames of different
// links overtake each other: a seed says in which order. A server that is stopped does nothing until it goes on.
type mesh struct {
	rng     *rand.Rand
	names   []string
	servers map[string]*Directory
	ends    map[[2]string]*end // what the first server has of its link to the second one
	stopped map[string]bool
	gone    []string                        // for ever
	has     map[string]map[string][]Session // server, account: the truth
	bound   int64
}

// end is one end of a link.
type end struct {
	up     bool
	broken bool     // up, and to be noticed that it isn't
	ready  bool     // down, and to be noticed that it is up
	queue  [][]byte // frames that have come
}

type meshWays struct {
	m    *mesh
	self string
}

func (w meshWays) Send(to string, frame []byte) error {
	here, there := w.m.ends[[2]string{w.self, to}], w.m.ends[[2]string{to, w.self}]
	if here.up && !here.broken { // what is written into a broken link is lost
		there.queue = append(there.queue, frame)
	}
	return nil
}

func newMesh(seed uint64, f Faults, names ...string) *mesh {
	m := &mesh{
		rng: rand.New(rand.NewPCG(seed, 7)), names: names, servers: make(map[string]*Directory), //nolint:gosec // a seed
		ends: make(map[[2]string]*end), stopped: make(map[string]bool), has: make(map[string]map[string][]Session),
	}
	now := time.Unix(1000, 0)
	for _, a := range names {
		m.servers[a] = New(Config{
			Self: a, Links: meshWays{m, a}, Log: slog.New(slog.DiscardHandler), Faults: f, Now: func() time.Time { return now },
			Conflict: func(string, string) {},
		})
		m.has[a] = make(map[string][]Session)
		for _, b := range names {
			if a != b {
				m.ends[[2]string{a, b}] = &end{ready: true}
			}
		}
	}
	return m
}

// pair are two servers, in any order.
func (m *mesh) pair() (a, b string) {
	i := m.rng.IntN(len(m.names))
	j := (i + 1 + m.rng.IntN(len(m.names)-1)) % len(m.names)
	return m.names[i], m.names[j]
}

// cut breaks a link: of what is under way some comes.
func (m *mesh) cut(a, b string) {
	for _, e := range []*end{m.ends[[2]string{a, b}], m.ends[[2]string{b, a}]} {
		e.queue = e.queue[:m.rng.IntN(len(e.queue)+1)]
		if e.ready = false; e.up {
			e.broken = true
		} else {
			e.queue = nil
		}
	}
}

// heal makes a link where both ends have noticed that they have none.
func (m *mesh) heal(a, b string) {
	x, y := m.ends[[2]string{a, b}], m.ends[[2]string{b, a}]
	if !x.up && !y.up && !x.ready && !y.ready {
		x.ready, y.ready = true, true
	}
}

// notice has a server see that a link has ended, or that there is a new one.
func (m *mesh) notice(a, b string) bool {
	e := m.ends[[2]string{a, b}]
	switch {
	case e.broken:
		*e = end{}
	case e.ready:
		e.ready, e.up = false, true
	default:
		return false
	}
	var connected []string
	for c := range m.servers {
		if c != a && m.ends[[2]string{a, c}].up {
			connected = append(connected, c)
		}
	}
	m.servers[a].Servers(connected)
	return true
}

// deliver hands a server the next frame of a link.
func (m *mesh) deliver(a, b string) bool {
	e := m.ends[[2]string{a, b}]
	if !e.up || len(e.queue) == 0 {
		return false
	}
	frame := e.queue[0]
	e.queue = e.queue[1:]
	m.servers[a].Receive(b, frame)
	return true
}

// change has an account's sessions at a server change.
func (m *mesh) change(a, account string) {
	var list []Session
	if m.rng.IntN(3) > 0 {
		m.bound++
		list = []Session{{"r-" + a, m.rng.IntN(3), m.bound}}
	}
	m.has[a][account] = list
	m.servers[a].Set(account, list)
}

// play lets the seed choose what happens.
func (m *mesh) play(steps int, accounts []string) {
	for range steps {
		a, b := m.pair()
		switch m.rng.IntN(20) {
		case 0:
			m.cut(a, b)
		case 1, 2:
			m.heal(a, b)
		case 3:
			m.stopped[a] = m.rng.IntN(2) == 0
		case 4:
			m.change(a, accounts[m.rng.IntN(len(accounts))])
		case 5, 6, 7:
			if !m.stopped[a] {
				m.notice(a, b)
			}
		default:
			if !m.stopped[a] {
				m.deliver(a, b)
			}
		}
	}
}

// quiet lets all links be made again, and all come to rest.
func (m *mesh) quiet() {
	clear(m.stopped)
	for idle := 0; idle < 20*len(m.names)*len(m.names); idle++ {
		a, b := m.pair()
		if m.heal(a, b); m.rng.IntN(4) == 0 {
			for _, s := range m.gone {
				m.notice(a, s)
			}
		}
		if m.rng.IntN(4) == 0 && m.notice(a, b) || m.deliver(a, b) {
			idle = 0
		}
	}
}

// wrong lists what servers know that is not so.
func (m *mesh) wrong(accounts []string) (out []string) {
	for _, account := range accounts {
		truth := Entry{}
		for _, s := range m.names {
			truth = truth.with(s, m.has[s][account])
		}
		same := func(what string, got, want Entry) {
			if fmt.Sprint(got) != fmt.Sprint(want) {
				out = append(out, fmt.Sprintf("%s of %s (owners %v): %v, not %v", what, account, newShards(m.names).of(account), got, want))
			}
		}
		for _, s := range m.names {
			d := m.servers[s]
			if len(m.has[s][account]) > 0 {
				same("the view at "+s, d.Others(account), truth.with(s, nil))
			}
			if slices.Contains(newShards(m.names).of(account), s) {
				same("the entry at "+s, d.shard[account], truth)
			}
		}
	}
	return out
}

// die takes a server away for ever.
func (m *mesh) die(name string) {
	m.names = slices.DeleteFunc(slices.Clone(m.names), func(s string) bool { return s == name })
	for _, s := range m.names {
		m.cut(s, name)
		m.ends[[2]string{name, s}].ready = false
	}
	m.gone = append(m.gone, name)
}

// apart plays seeds until something is wrong in the end, or there are no more. In every third one server is gone in the end.
func apart(f Faults, seeds uint64) (seed uint64, wrong []string) {
	all := []string{"a", "b", "c", "d"}
	accounts := []string{"0", "1", "2", "3", "4", "5", "6", "7"}
	for seed = range seeds {
		m := newMesh(seed, f, all[:3+seed%2]...)
		m.quiet()
		m.play(300, accounts)
		if seed%3 == 2 {
			m.die(m.names[m.rng.IntN(len(m.names))])
		}
		m.quiet()
		if wrong = m.wrong(accounts); len(wrong) > 0 {
			break
		}
	}
	return seed, wrong
}

// TestApart: whatever links were cut, by whomever it was noticed first, in the end all that have to know where an account is do.
func TestApart(t *testing.T) {
	if seed, wrong := apart(Faults{}, 500); len(wrong) > 0 {
		t.Fatalf("seed %d: %d mistakes, such as %s", seed, len(wrong), wrong[0])
	}
	if _, wrong := apart(Faults{AnyView: true}, 500); len(wrong) == 0 {
		t.Error("the planted mistake goes unnoticed")
	}
}
