package exchange

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/cluster/directory"
	"github.com/rosterdb/rosterdb/xmppd/cluster/link"
	"github.com/rosterdb/rosterdb/xmppd/cluster/notice"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Channels of the links.
const (
	Directory link.Channel = 2
	Stanzas   link.Channel = 3
	Presence  link.Channel = 4
)

// Faults are bugs that tests plant, to see that a test would notice them.
type Faults struct {
	LoseReturned bool // what a server did not get is forgotten
	NoTeardown   bool // those who saw the sessions of a server that is cut off are not told
	NoGreeting   bool // a server that has come is not told who is here
	KeepStale    bool // a way that has turned out wrong is taken again
	HideDomains  bool // others are not told which components are here
	LoseReplies  bool // an error whose receiver is not to be found is forgotten
	KeepBoth     bool // a resource that was bound at another server stays bound here
	Overtake     bool // what can be delivered at once is, whatever waits
	HoldAll      bool // what other servers send is taken without bounds
	TakeAll      bool // what they tell of presence is
	KeepAnswer   bool // an answer of the directory is used for all that comes while it is
	Stand        bool // who waits for records that can't be had does so in line
	LookLate     bool // what was kept for accounts here is looked for beside what comes for them
	ReturnLate   bool // what comes overtakes what a server did not get
	Rush         bool // a server is told to look for what was kept before what it did not get is
	LookAlone    bool // what was kept is looked for whichever other servers may be about to tell of more
	// Told is no bug: it decides when what a server has told is taken.
	Told func(from string, take func())
	// Look is no bug either: it is how long what comes waits for a look at what was kept; 0: a second.
	Look time.Duration
}

// Config is what an Exchange needs.
type Config struct {
	Self   string
	Mesh   *link.Mesh
	Table  *session.Table
	Router *router.Router
	IM     *im.Service
	// Zone is that of a server, this one included; nil: there are none.
	Zone func(server string) string
	// Lost reports whether the records of an account could not be had a moment ago; nil: they always can.
	Lost func(account string) bool
	// Cache is how many accounts are remembered that have no session here (directory.Config).
	Cache  int
	Log    *slog.Logger
	Faults Faults
}

// Exchange is a server's part. It is safe for concurrent use.
type Exchange struct {
	cfg   Config
	log   *slog.Logger
	dir   *directory.Directory
	ctx   context.Context //nolint:containedctx // of the lanes
	end   context.CancelFunc
	seed  maphash.Seed
	lanes [lanes]*lane
	casts *casts
	landings
	stop chan struct{}
	wg   sync.WaitGroup

	register sync.Mutex // held while sessions are told to the directory
	servers  sync.Mutex // held while it is told of servers
	routes   routes
	gone     routes // of sessions that were here and have moved
	copied   func(account string, sent bool, raw []byte, b *session.Batch)
	moved    func(account string)
	kept     func(context.Context, stanza.JID, *session.Batch)
	domains  domains
	replies  replies

	returning returning
	words     words

	counts  Counters
	notices notice.Log
}

// New makes an exchange, and sets its channels of the mesh, which must not run yet. Start begins. Up
// and Down have to be called by the mesh.
func New(cfg Config) *Exchange {
	if cfg.Zone == nil {
		cfg.Zone = func(string) string { return "" }
	}
	if cfg.Lost == nil {
		cfg.Lost = func(string) bool { return false }
	}
	x := &Exchange{cfg: cfg, log: cfg.Log, seed: maphash.MakeSeed(), lanes: newLanes(), replies: newReplies(), stop: make(chan struct{})}
	x.casts, x.notices.To = newCasts(), cfg.Log
	x.domains.own, x.domains.others = make(map[string]int64), make(map[string]map[string]int64)
	x.ctx, x.end = context.WithCancel(context.Background())
	x.dir = directory.New(directory.Config{Self: cfg.Self, Links: dirLinks{cfg.Mesh}, Log: cfg.Log, Conflict: x.conflict, View: x.viewed, Near: x.near, Stale: x.stale, Cache: cfg.Cache})
	cfg.Mesh.Handle(Directory, link.Handler{Name: "directory", Receive: x.dir.Receive})
	cfg.Mesh.Handle(Stanzas, link.Handler{Name: "stanzas", Receive: x.receive, Pause: x.landed, Undelivered: x.undelivered})
	cfg.Mesh.Handle(Presence, link.Handler{Name: "presence", Receive: x.told})
	return x
}

type dirLinks struct{ mesh *link.Mesh }

func (d dirLinks) Send(to string, frame []byte) error { return d.mesh.Send(to, Directory, frame) }

// near reports whether a server is in the zone of this one.
func (x *Exchange) near(server string) bool {
	return x.cfg.Zone(server) == x.cfg.Zone(x.cfg.Self)
}

// route is the way to a server.
func (x *Exchange) route(server string) route { return route{server, !x.near(server)} }

// hopped counts a stanza that another server has been sent.
func (x *Exchange) hopped(way route) {
	x.counts.Hops.Add(1)
	if way.far {
		x.counts.Crossings.Add(1)
	}
}

// Directory knows where sessions are.
func (x *Exchange) Directory() *directory.Directory { return x.dir }

// Start begins to handle what comes.
func (x *Exchange) Start() {
	for _, l := range x.lanes {
		x.wg.Go(func() { l.run(x.stop) })
	}
	x.wg.Go(func() { x.casts.run(x.stop) })
	x.wg.Go(x.runReplies)
}

// Close handles what has come, and ends. The mesh must have been closed.
func (x *Exchange) Close() {
	close(x.stop)
	x.wg.Wait()
	x.end()
}

// Idle reports whether nothing is under way here.
func (x *Exchange) Idle() bool {
	_, idle := x.Waiting()
	return idle
}

// Waiting counts what waits here, and reports whether nothing is under way.
func (x *Exchange) Waiting() (n int, idle bool) {
	n = x.underWay()
	return n, n == 0 && x.dir.Idle()
}

// Up takes note of a server that is connected: it learns who is here, and before that what it did not get is taken care of.
func (x *Exchange) Up(server string, _ uint64) {
	x.awaitReturned(server)
	x.tellServers()
	x.haveLook(server)
	x.greetDomains(server)
	x.answerAgain()
	x.casts.add(func(b *session.Batch) {
		if !x.cfg.Faults.NoGreeting {
			x.cfg.IM.Greet(x.ctx, server, b)
		}
	})
}

// Down takes note of a server that is cut off: what it had is gone.
func (x *Exchange) Down(server string) {
	x.words.miss(server)
	x.tellServers()
	x.forgetDomains(server)
	x.casts.ended(server)
	x.casts.add(func(b *session.Batch) {
		if !x.cfg.Faults.NoTeardown {
			x.cfg.IM.Lost(x.ctx, server, b)
		}
	})
}

func (x *Exchange) tellServers() {
	x.servers.Lock()
	defer x.servers.Unlock()
	x.routes.clear()
	x.gone.clear()
	x.dir.Servers(x.cfg.Mesh.Connected())
}

// Changed tells the directory what sessions an account has here (session.Table.Changed).
func (x *Exchange) Changed(u *session.User) {
	x.register.Lock()
	defer x.register.Unlock()
	list := u.Sessions()
	out := make([]directory.Session, len(list))
	for i, s := range list {
		out[i] = directory.Session{Resource: s.JID.Resource, Priority: s.Priority(), Bound: s.Bound}
	}
	x.dir.Set(u.Bare, out)
}

// Registered waits until the directory knows the sessions that an account has here, or ctx ends.
func (x *Exchange) Registered(ctx context.Context, account string) {
	done := make(chan struct{})
	x.dir.Barrier(account, func() { close(done) })
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// viewed takes note that an account has other sessions elsewhere than before.
func (x *Exchange) viewed(account string) {
	if x.moved != nil {
		x.moved(account)
	}
}

// stale takes note that an address is not where it was.
func (x *Exchange) stale(address string) {
	if !x.cfg.Faults.KeepStale {
		x.routes.drop(address)
	}
}

// conflict ends a session whose resource was bound on another server.
func (x *Exchange) conflict(account, resource string) {
	if x.cfg.Faults.KeepBoth {
		return
	}
	x.lane(account).add(func(*session.Batch) {
		if s := x.cfg.Table.Get(account + "/" + resource); s != nil {
			s.Out.Fail(&router.StreamError{Condition: "conflict", Text: "your resource was bound by another stream"})
		}
	})
}

// choose returns the server that acts for the receiver of a message or an IQ; this one if that is
// nowhere.
func (x *Exchange) choose(e directory.Entry, p *module.Passage) string {
	self := x.cfg.Self
	if p.To.Resource != "" {
		if server := e.Find(p.To.Resource); server != "" {
			return server
		}
		if server := x.gone.find([]byte(p.To.String())).server; server != "" {
			return server
		}
		if p.Stanza.Kind != stanza.Message {
			return self
		}
		if t := module.MessageType(p.Stanza); t != "chat" {
			return self // RFC 6121 section 8.5.3.2.1: only a chat message goes to another resource instead
		}
	}
	if server := e.Best(self, x.near); server != "" {
		return server
	}
	return self
}

// tellAll sends a frame of presence to a server, or to all.
func (x *Exchange) tellAll(to string, frame []byte) {
	whom := []string{to}
	if to == "" {
		whom = x.cfg.Mesh.Connected()
	}
	for _, server := range whom {
		err := x.cfg.Mesh.Send(server, Presence, frame)
		for end := time.Now().Add(patience); to != "" && errors.Is(err, link.ErrFull) && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // a greeting may be longer than the queue, which runs empty meanwhile
			err = x.cfg.Mesh.Send(server, Presence, frame)
		}
		switch {
		case errors.Is(err, link.ErrFull):
			x.anew(server, "a server does not take what it is told of presence: it is connected anew")
		case err != nil:
			x.log.Debug("presence not sent to a server", "server", server, "error", err) // its link is about to end
		}
	}
}

// anew ends the link of a server, since one of the two has lost something: both tell each other everything when it is there again.
func (x *Exchange) anew(server, why string) {
	x.counts.Overruns.Add(1)
	x.notices.Warn(why, "server", server)
	x.cfg.Mesh.Reconnect(server)
}

// clone copies what belongs to a buffer.
func clone(b []byte) []byte { return slices.Clone(b) }
