package directory

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Links are the ways to other servers (link.Mesh, on one channel).
type Links interface {
	Send(to string, frame []byte) error // never waits
}

// Config is what a Directory needs.
type Config struct {
	Self  string // name of this server
	Links Links
	Log   *slog.Logger
	// Conflict ends a session of this server whose resource was bound by another one. It must not
	// wait, and is called without locks.
	Conflict func(account, resource string)
	// View is told of an account with sessions here whose sessions elsewhere have changed; nil: nobody
	// wants to know. As Conflict.
	View func(account string)
	// Stale is told of an address whose session is not where this server took it to be; nil: nobody wants
	// to know. As Conflict.
	Stale func(address string)
	// Near reports whether a server is in this server's zone: it is asked rather than another one that
	// knows as much. nil: all are.
	Near func(server string) bool
	// Settle is how long owners may not know everything after servers have come or gone; 0: 3 s
	Settle time.Duration
	// Cache is how many accounts are remembered that have no session here; 0: 20,000; negative: none.
	Cache  int
	Now    func() time.Time // nil: time.Now
	Faults Faults
}

// Faults are bugs that tests plant, to see that a test would notice them.
type Faults struct {
	KeepGone   bool // holdings of a server that was cut off stay
	TellNobody bool // new owners are not told
	AskNobody  bool // new owners wait to be told
	KeepQuiet  bool // a first owner that is new does not tell what the one before may not have told
	// ViewsLost leaves what an account's sessions here knew of a server that was cut off unknown when it is back.
	ViewsLost bool
	// NoSecondLook takes a resource that is not remembered for one that is not there.
	NoSecondLook bool
	AnyView      bool // what a server says of an account's sessions is believed though others own it
	FirstUntold  bool // an owner that is the first one now is not told again
	NothingNew   bool // that an account is nowhere else is not said to who may take it to be
	NoDoubt      bool // what an account's sessions here know is taken for complete
	OldUntold    bool // who was told as an owner hears no more when it is none
}

// Directory is one server's part. It is safe for concurrent use. Callbacks are called without locks.
type Directory struct {
	cfg Config

	mu       sync.Mutex
	shards   *shards
	changed  time.Time            // when servers came or went
	own      map[string][]Session // sessions here, by account
	views    map[string]Entry     // of accounts that have sessions here: where others are
	missed   map[string]bool      // of these, those of which views have lost a server that was cut off
	told     map[string][]string  // who else was told of them than their owners: it may take itself for one
	shard    map[string]Entry     // of the accounts that this server owns
	cache    map[string]Entry     // of others
	doubted  map[string]bool      // accounts with sessions here, of which a resource was missed: to be asked for
	asks     map[string]*ask      // under way, by account
	waiting  map[uint64]*barrier
	barriers uint64 // made
}

// ask is a question under way.
type ask struct {
	waits map[string]bool // servers that have not answered
	found Entry
	then  []func(Entry)
}

// New makes the directory of a server that knows no other yet.
func New(cfg Config) *Directory {
	if cfg.Settle == 0 {
		cfg.Settle = 3 * time.Second
	}
	if cfg.Cache == 0 {
		cfg.Cache = 20_000
	}
	if cfg.Near == nil {
		cfg.Near = func(string) bool { return true }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Directory{
		cfg: cfg, shards: newShards([]string{cfg.Self}), own: make(map[string][]Session), views: make(map[string]Entry), missed: make(map[string]bool), told: make(map[string][]string),
		shard: make(map[string]Entry), cache: make(map[string]Entry), doubted: make(map[string]bool),
		asks: make(map[string]*ask), waiting: make(map[uint64]*barrier),
	}
}

// outgoing is what is to be done when the lock is released.
type outgoing struct {
	frames []frameTo
	calls  []func()
}

type frameTo struct {
	to    string
	frame []byte
}

func (o *outgoing) send(to string, frame []byte) { o.frames = append(o.frames, frameTo{to, frame}) }

// locked runs f, and sends what it leaves while the lock is held: frames have to go out in the order in
// which they were made.
func (d *Directory) locked(f func(*outgoing)) {
	var o outgoing
	d.mu.Lock()
	f(&o)
	for _, x := range o.frames {
		if err := d.cfg.Links.Send(x.to, x.frame); err != nil {
			d.cfg.Log.Debug("directory: not sent", "server", x.to, "error", err) // its link is about to end
		}
	}
	d.mu.Unlock()
	for _, c := range o.calls {
		c()
	}
}

// Set says which sessions of an account this server has now.
func (d *Directory) Set(account string, sessions []Session) {
	d.locked(func(o *outgoing) {
		delete(d.cache, account) // it is older
		if len(sessions) == 0 {
			delete(d.own, account)
			delete(d.views, account)
			delete(d.missed, account)
			delete(d.doubted, account)
		} else {
			d.own[account] = sessions
		}
		for _, server := range slices.Concat(d.shards.of(account), d.told[account]) {
			d.tell(o, server, account, false)
		}
		if len(sessions) == 0 {
			delete(d.told, account)
		}
	})
}

// noteTold takes note that a server was told of an account, if that is not its owner. One that is cut off forgets.
func (d *Directory) noteTold(account string, servers ...string) {
	if d.cfg.Faults.OldUntold {
		return
	}
	list := slices.DeleteFunc(slices.Concat(d.told[account], servers), func(s string) bool {
		return slices.Contains(d.shards.of(account), s) || !slices.Contains(d.shards.servers, s)
	})
	slices.Sort(list)
	if list = slices.Compact(list); len(list) == 0 {
		delete(d.told, account)
	} else {
		d.told[account] = list
	}
}

// tell sends an owner, which may be this server, what this server has of an account.
func (d *Directory) tell(o *outgoing, owner, account string, again bool) {
	if owner != d.cfg.Self {
		o.send(owner, putFrame(account, d.own[account], again))
		return
	}
	d.put(o, d.cfg.Self, account, d.own[account], again)
}

// Servers says which servers are connected, besides this one. What those had that are gone is dropped;
// owners that are new are told what they have to know.
func (d *Directory) Servers(connected []string) {
	now := newShards(append([]string{d.cfg.Self}, connected...))
	d.locked(func(o *outgoing) {
		before := d.shards
		d.shards, d.changed = now, d.cfg.Now()
		clear(d.cache)
		if !d.cfg.Faults.KeepGone {
			d.drop(o, before)
		}
		d.tellOwners(o, before)
		// Others may have seen the change before, and told this server when it did not know yet that it owns them.
		if parts := now.gained(before, d.cfg.Self); len(parts) > 0 && !d.cfg.Faults.AskNobody {
			for _, server := range connected {
				o.send(server, tellFrame(parts))
			}
		}
		for id, x := range d.waiting {
			for server := range x.waits {
				if !slices.Contains(now.servers, server) {
					d.echoed(o, id, server)
				}
			}
		}
		for account, a := range d.asks {
			for server := range a.waits {
				if !slices.Contains(now.servers, server) {
					d.answered(o, account, server, nil)
				}
			}
		}
	})
}

// drop forgets what servers had that are gone, and parts that this server does not own any more. As a first
// owner that is new it says what the one before may not have come to say.
func (d *Directory) drop(o *outgoing, before *shards) {
	for account, e := range d.shard {
		if !slices.Contains(d.shards.of(account), d.cfg.Self) {
			delete(d.shard, account)
			continue
		}
		left := e
		for _, h := range e {
			if !slices.Contains(d.shards.servers, h.Server) {
				left = left.with(h.Server, nil)
			}
		}
		heir := d.first(account) && before.of(account)[0] != d.cfg.Self && !d.cfg.Faults.KeepQuiet
		if heir {
			d.clashes(o, account, left)
		}
		if len(left) < len(e) || heir {
			d.change(o, account, e, left, heir)
		}
	}
	for account, e := range d.views {
		left := slices.DeleteFunc(slices.Clone(e), func(h Holding) bool { return !slices.Contains(d.shards.servers, h.Server) })
		if d.views[account] = left; len(left) < len(e) {
			d.missed[account] = true
		}
	}
}

// tellOwners tells owners that are new what this server has; and where servers are back, the owners of accounts of which views
// have lost one: an owner that was never cut off from either has seen no change, and says only then what it knows. So does one
// that is the first one now: what it has said when this server took another one for the first was not believed.
func (d *Directory) tellOwners(o *outgoing, before *shards) {
	more := slices.ContainsFunc(d.shards.servers, func(s string) bool { return !slices.Contains(before.servers, s) })
	for account := range d.own {
		was := before.of(account)
		d.noteTold(account, was...)
		missed := more && d.missed[account] && !d.cfg.Faults.ViewsLost
		for i, owner := range d.shards.of(account) {
			// An owner that has lost its link since, and has a new one, has forgotten this server.
			isNew := !slices.Contains(was, owner) || i == 0 && was[0] != owner && !d.cfg.Faults.FirstUntold
			if (isNew || missed) && !d.cfg.Faults.TellNobody {
				d.tell(o, owner, account, true)
			}
		}
	}
	if more {
		clear(d.missed)
	}
}

// put takes what a server has of an account that this one owns.
func (d *Directory) put(o *outgoing, server, account string, sessions []Session, again bool) {
	if !slices.Contains(d.shards.of(account), d.cfg.Self) {
		return // the sender doesn't know yet that another one is the owner now
	}
	before := d.shard[account]
	if d.first(account) {
		d.conflicts(o, before, server, account, sessions, again)
	}
	d.change(o, account, before, before.with(server, sessions), again && len(sessions) > 0)
}

// first reports whether this server is the first owner of an account: it speaks for both.
func (d *Directory) first(account string) bool { return d.shards.of(account)[0] == d.cfg.Self }

// conflicts ends sessions that have lost their resource: the newest wins (RFC 6120 section 7.7.2.2).
// Of two that were there before their servers met it is the one that was bound later.
func (d *Directory) conflicts(o *outgoing, before Entry, server, account string, sessions []Session, again bool) {
	had := before.Of(server)
	for _, s := range sessions {
		if slices.ContainsFunc(had, func(x Session) bool { return x.Resource == s.Resource && x.Bound == s.Bound }) {
			continue
		}
		for _, h := range before {
			i := slices.IndexFunc(h.Sessions, func(x Session) bool { return x.Resource == s.Resource })
			if h.Server == server || i < 0 {
				continue
			}
			loser := h.Server
			if other := h.Sessions[i]; again && (other.Bound > s.Bound || other.Bound == s.Bound && h.Server > server) {
				loser = server
			}
			if loser == d.cfg.Self {
				o.calls = append(o.calls, func() { d.cfg.Conflict(account, s.Resource) })
			} else {
				o.send(loser, conflictFrame(account, s.Resource))
			}
		}
	}
}

// clashes ends all but one of the sessions of each resource that is there twice.
func (d *Directory) clashes(o *outgoing, account string, e Entry) {
	for i := 1; i < len(e); i++ {
		d.conflicts(o, e[:i], e[i].Server, account, e[i].Sessions, true)
	}
}

// change replaces an entry of the shard, and tells the servers that have sessions of the account. One that is alone and was
// is told only if it may believe something else.
func (d *Directory) change(o *outgoing, account string, before, now Entry, doubt bool) {
	if len(now) == 0 {
		delete(d.shard, account)
	} else {
		d.shard[account] = now
	}
	doubt = doubt && !d.cfg.Faults.NothingNew
	if !d.first(account) || len(now) < 2 && len(before) < 2 && !doubt {
		return
	}
	for _, h := range now {
		if h.Server == d.cfg.Self {
			d.view(o, d.cfg.Self, account, now)
		} else {
			o.send(h.Server, viewFrame(account, now))
		}
	}
}

// view takes note of where else an account is that has sessions here, as its first owner says. Another server may take
// itself for that one, if it is cut off from the first owner or learns late of a change: it knows less.
func (d *Directory) view(o *outgoing, from, account string, e Entry) {
	if _, here := d.own[account]; !here || d.shards.of(account)[0] != from && !d.cfg.Faults.AnyView {
		return
	}
	before := d.views[account]
	if e = e.with(d.cfg.Self, nil); len(e) == 0 {
		delete(d.views, account)
	} else {
		d.views[account] = e
	}
	if d.cfg.View != nil && len(before)+len(e) > 0 {
		o.calls = append(o.calls, func() { d.cfg.View(account) })
	}
}

var errKind = errors.New("unknown kind of frame")
