// Package offline keeps messages for accounts that nobody is on line for (XEP-0160, version 1.0.1), and
// delivers them, marked as delayed (XEP-0203, version 2.0), when somebody is.
//
// # What is guaranteed
//
// A message that the sender gets no error for is on the disk. It is removed from there only when it
// is with the network or, if the client acknowledges (XEP-0198), acknowledged. If the session that it
// was queued for dies before, the router gives it back to the module, which finds that it never let
// go of it. So each message is delivered exactly once, in the order of arrival, to whichever session of
// the account asks first. While a session has not been queued all that was kept, what comes for it is
// kept, too (due), unless the account has other sessions: those don't wait. Three things bound that. A crash of the
// server, or of the disk, between delivering and removing can double messages; it never loses one.
// What is with the network when a connection without acknowledgements breaks may not have been
// read. And with two sessions on line, what one of them leaves behind goes to the other at once, and
// is kept no longer.
//
// Of several servers that share the store one delivers at a time: the first that writes a claim into it
// (Claims). The others' sessions get new messages at once, and what is kept when the claim is given up. A claim
// ends with its drain, with its server's process, or when the server has been away for 5 seconds; in the last case, if it
// lives on, one page of messages can be delivered by both. What a session brings along from such a server is not delivered
// again (Hold), nor is what could not be removed when it was delivered.
package offline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/sweep"
)

// Config is the module's part of the configuration. Zero stands for the default.
type Config struct {
	Messages int `toml:"messages"` // an account: 1000
	Bytes    int `toml:"bytes"`    // an account: 4194304
	Days     int `toml:"days"`     // until a message is dropped: 90
}

// Options are what the module needs.
type Options struct {
	Config
	Store  store.Store
	Table  *session.Table
	Domain string
	// Exists tells whether the owner is an account.
	Exists func(store.Reader) (bool, error)
	// Blocked tells whether an account has blocked somebody.
	Blocked func(ctx context.Context, owner, other stanza.JID) bool
	// Kept is told of an account for which a message was kept, so that other servers of a cluster look
	// (Module.Look) if a session has come there meanwhile; nil: there are none. It doesn't wait.
	Kept func(owner stanza.JID)
	// Undelivered tells the sender of a stanza, wherever that is, what was wrong with it.
	Undelivered func(ctx context.Context, p *module.Passage, e *module.Error)
	// Claims are for servers that share the store; nil: there are none.
	Claims     *Claims
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time // nil: time.Now
}

// faults are bugs that this package's tests plant.
type faults struct {
	removeFirst bool // remove what is queued before it is with the network
	twoDrains   bool // let two sessions ask at once
	forget      bool // take nothing back
	halt        bool // deliver nothing behind a damaged message
	overtake    bool // let messages overtake those that are kept
	strict      bool // hold what comes back against the ordinary limits
	sure        bool // take what may be kept for something that is not
	late        bool // put what was taken earlier behind what came later
	sameKeys    bool // give that the keys of what came then
	// Of servers that share a store.
	claimNothing bool // deliver whatever others do
	claimAll     bool // take over claims of servers that are there
	putBack      bool // store again what another server has delivered meanwhile
	holdNothing  bool // deliver again what a session has brought, or what could not be removed
}

// Module keeps messages. Make it with New.
type Module struct {
	opt     Options
	age     time.Duration
	mark    session.Interest
	head    []byte // of the delay element, up to the time
	metrics metrics
	faults  faults

	mu      sync.Mutex
	drains  map[string]*drain                      // by owner
	waits   map[string]*wait                       // the same
	held    map[string]map[uint64]*session.Session // the same, by message: who has it in its queue
	numbers uint64                                 // of drains
}

type metrics struct {
	stored, delivered prometheus.Counter
	dropped           *prometheus.CounterVec // reason
}

// New makes the module.
func New(opt Options) *Module {
	def := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	def(&opt.Messages, 1000)
	def(&opt.Bytes, 4<<20)
	def(&opt.Days, 90)
	if opt.Now == nil {
		opt.Now = time.Now
	}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "xmppd", Name: name, Help: help}
	}
	m := &Module{
		opt: opt, age: time.Duration(opt.Days) * 24 * time.Hour, drains: make(map[string]*drain), waits: make(map[string]*wait), held: make(map[string]map[uint64]*session.Session),
		head: append(stanza.AppendAttr([]byte("<delay xmlns='"+nsDelay+"'"), "from", opt.Domain), " stamp='"...),
		metrics: metrics{
			stored:    prometheus.NewCounter(counter("offline_stored_total", "Messages kept for accounts without a session.")),
			delivered: prometheus.NewCounter(counter("offline_delivered_total", "Kept messages that were delivered.")),
			dropped:   prometheus.NewCounterVec(counter("offline_dropped_total", "Messages not kept, or no longer, by reason."), []string{"reason"}),
		},
	}
	for _, reason := range []string{"full", "age", "blocked"} {
		m.metrics.dropped.WithLabelValues(reason) // begins at zero
	}
	opt.Registerer.MustRegister(m.metrics.stored, m.metrics.delivered, m.metrics.dropped)
	return m
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "offline", Spec: "XEP-0160", Version: "1.0.1", Title: "Best Practices for Handling Offline Messages"}
}

// Also implements module.Further.
func (*Module) Also() []module.Info {
	return []module.Info{{Name: "offline", Spec: "XEP-0203", Version: "2.0", Title: "Delayed Delivery"}}
}

// Features implements module.Module.
func (*Module) Features() []string { return []string{"msgoffline", nsDelay} }

// Routes implements module.Module.
func (*Module) Routes() []module.Route { return nil }

// Extend implements module.Extender.
func (m *Module) Extend(e *module.Extension) {
	m.mark = e.Interest
	e.MessageDue = m.due
	e.MessageDelivered = m.delivered
	e.Arrives = m.arrives
	e.Available = m.available
	e.Returned = m.returned
}

// Run implements module.Runner: it removes messages that are too old, and looks again at those that another
// server has claimed.
func (m *Module) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { m.runWaits(ctx) })
	s := sweep.Sweeper{Store: m.opt.Store, Collection: messages, Every: time.Hour, Pause: 100 * time.Millisecond, Step: m.expire, Log: m.opt.Log}
	s.Run(ctx)
}

// delivered keeps a message that nobody took.
func (m *Module) delivered(ctx context.Context, owner stanza.JID, p *module.Passage, took []*session.Session) bool {
	if len(took) > 0 || !wanted(p) {
		return false
	}
	done, err := m.take(ctx, owner, p)
	switch {
	case errors.Is(err, errFull):
		m.metrics.dropped.WithLabelValues("full").Inc()
	case err != nil:
		m.opt.Log.Error("message can't be kept; it goes back to its sender", "to", owner, "error", err)
	}
	return done
}

// take keeps a message, and sees to it that it is delivered to a session that comes meanwhile. done tells that nobody else has to
// take care of it: where it is not known whether it is kept its sender has been told so.
func (m *Module) take(ctx context.Context, owner stanza.JID, p *module.Passage) (done bool, err error) {
	p.Batch.Block() // for the disk
	kept, err := m.keep(ctx, owner, p)
	if errors.Is(err, store.ErrUncertain) && !m.faults.sure {
		m.opt.Log.Warn("it is not known whether a message is kept: its sender is told", "to", owner, "error", err)
		m.opt.Undelivered(ctx, p, module.Uncertain())
		return true, nil
	}
	if kept {
		// Somebody may have come on line after the look for sessions and before the message was there.
		m.drain(ctx, owner, p.Batch)
		m.tellKept(owner)
	}
	return kept, err
}

// Look delivers what is kept for an account to its sessions here: another server has kept something
// while they came.
func (m *Module) Look(ctx context.Context, owner stanza.JID, b *session.Batch) {
	m.drain(ctx, owner, b)
}

// wanted applies XEP-0160 section 3 and the hints of XEP-0334.
func wanted(p *module.Passage) bool {
	switch module.MessageType(p.Stanza) {
	case "chat":
	case "normal":
		if p.To.Resource != "" {
			return false // RFC 6121 section 8.5.3.2.1: it was for that session alone
		}
	default:
		return false
	}
	content := false
	for el := range p.Stanza.Elements() {
		switch name := string(el.Name); string(el.NS) {
		case "urn:xmpp:hints":
			switch name {
			case "no-store", "no-permanent-store":
				return false
			case "store":
				content = true
			}
		case "http://jabber.org/protocol/chatstates":
		case "", stanza.NSClient:
			content = content || name != "thread"
		default:
			content = true
		}
	}
	return content
}
