package balance

import (
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Links are the ways to other servers (link.Mesh, on one channel).
type Links interface {
	Send(to string, frame []byte) error // never waits
	Connected() []string
}

// Config is what a Balancer needs.
type Config struct {
	Self  string // name of this server
	Zone  string // of this server; may be empty
	Links Links
	// C2S and TLS are where clients are sent to that shall come to this server, as host:port: for
	// STARTTLS, and for TLS from the first byte. Empty: none are.
	C2S, TLS string
	// All: also clients are sent away that have not said that they can follow.
	All bool

	Sessions func() int  // bound here
	Takes    func() bool // this server takes clients; nil: it does
	CPU      func() int  // per mille of what the process may use; nil: unknown
	Now      func() time.Time
	Draw     func(n int) int // at random, below n
	Log      *slog.Logger
	// Registerer gets the counters; nil: nobody does.
	Registerer prometheus.Registerer
	Faults     Faults
}

// Faults are bugs that tests plant, to see that a test would notice them.
type Faults struct {
	SendOn    bool // clients that were sent here are sent on
	Leaving   bool // servers that take no clients, or are cut off, are chosen as well
	KeepAll   bool // a server without CPU left sends nobody away for that
	Uncounted bool // clients on their way to another server are not counted
}

// How old a report may be, and how long a client that was sent away may need to arrive.
const (
	fresh  = 10 * time.Second
	inTime = 5 * time.Second
	busy   = 950 // per mille of CPU from which on a server gets no clients of others, and sends its own
	lower  = 100 // to one that uses so much less
	margin = 50  // one in so many sessions, and
	least  = 3   // so many more than the other one has are no reason to send clients there
)

// Balancer is one server's part. It is safe for concurrent use.
type Balancer struct {
	cfg      Config
	sentAway prometheus.Counter
	came     prometheus.Counter

	mu      sync.Mutex
	coming  int               // clients that stay here and have not bound a resource yet
	arrived map[string]uint64 // clients that have come, by the server that had sent them
	peers   map[string]*peer
	told    report // the last one, without From
	at      time.Time
}

// peer is what is known of another server.
type peer struct {
	report report
	at     time.Time // of report
	sent   uint64    // clients sent there
	gone   uint64    // of those, the ones that are given up
	before mark      // how many had been sent, and when: those have had their time at before.at + inTime
}

type mark struct {
	at   time.Time
	sent uint64
}

// onWay counts the clients that were sent to a server and are not part of what it has reported. Those
// that have not come in time are given up.
func (p *peer) onWay(now time.Time) int {
	if now.Sub(p.before.at) >= inTime {
		if came := p.report.From + p.gone; p.before.sent > came {
			p.gone += p.before.sent - came
		}
		p.before = mark{now, p.sent}
	}
	return max(0, int(p.sent)-int(p.report.From+p.gone)) //nolint:gosec // counts of clients
}

// New makes a Balancer.
func New(cfg Config) *Balancer {
	if cfg.Takes == nil {
		cfg.Takes = func() bool { return true }
	}
	if cfg.CPU == nil {
		cfg.CPU = func() int { return 0 }
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "xmppd", Subsystem: "cluster", Name: name, Help: help})
	}
	b := &Balancer{
		cfg: cfg, arrived: make(map[string]uint64), peers: make(map[string]*peer),
		sentAway: counter("redirects_total", "Clients sent to another server."),
		came:     counter("redirected_total", "Clients that have come because another server had sent them."),
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(b.sentAway, b.came)
	}
	return b
}
