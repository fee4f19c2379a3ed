// Package im is the instant messaging half of RFC 6121: rosters (section 2), subscriptions
// (section 3) and presence (section 4), and the shared groups that put accounts into one another's
// roster without asking.
//
// A contact is an account of this domain or somebody elsewhere. Both take one path: what is done on
// the contact's behalf here (Service.receive, Service.arrive) is done by the other domain's server
// there, and Service.elsewhere is the way to it.
//
// An account that belongs to a shared group has every other account that belongs to one as a
// contact, subscribed both ways, listed under that account's group. Such contacts come from the
// group table alone: they are never stored in a roster and can't be removed from one.
//
// Locks: a change of a roster holds the locks of owner and contact (Service.lock); the broadcasts
// of a session hold its Order. Order is taken before a roster's lock, never the other way round.
package im

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Limits bound what one user can make the server keep.
type Limits struct {
	RosterItems int // a roster; 0: 2000
	Directed    int // JIDs that have directed presence of one session; 0: 500
}

// Rosters is where rosters and shared groups come from. The server's store is one source; another
// could be a portal's own database. What it changes by itself goes through Service.Put and
// Service.Remove, so that clients hear of it.
type Rosters interface {
	// Account tells whether an account exists: account.ErrNotFound.
	Account(ctx context.Context, name string) (*account.Account, error)
	// Grouped returns the members of shared groups, in the order of names.
	Grouped(ctx context.Context) ([]account.Member, error)
	// Roster returns all items of an account, unlisted ones included, in the order of contacts.
	Roster(ctx context.Context, name string) ([]account.Item, error)
	// Item returns one item; a fresh one with SubNone if there is none.
	Item(ctx context.Context, name, contact string) (account.Item, error)
	// UpdateItem changes one item, as account.Store does.
	UpdateItem(ctx context.Context, name, contact string, f func(*account.Item) bool) (account.Step, error)
	// RosterVersion is the version of a roster, other after every change that its owner can see.
	RosterVersion(ctx context.Context, name string) (uint64, error)
	// RosterSince returns what has changed since a version; known is false if that can't be told.
	RosterSince(ctx context.Context, name string, version uint64) (c account.Changes, known bool, err error)
}

// Faults are bugs that tests plant, to see that a test would notice them.
type Faults struct {
	AsTold     bool   // a roster push goes to clients as another server has made it, whatever came before
	NoCatchUp  bool   // a push between the reading and the sending of a roster is lost
	Gap        func() // no bug: runs between the two, to make that push happen
	LoseLate   bool   // presence that comes too fast is dropped, the last one too
	ShowHidden bool   // invisible sessions broadcast
	OneSided   bool   // only the sender's half of a subscription changes
	EndHere    bool   // sessions of an account that was removed go on at other servers
	KeepDirect bool   // a server that is back is not told of directed presence
	KeepGone   bool   // sessions of an account that was removed while the server was cut off go on
	KeepOlder  bool   // sessions of an earlier account of the same name go on
	PushMoving bool   // rosters are pushed to a session that another server is about to have
	BlockHere  bool   // sessions at other servers hear of no change of a block list
	KnowAll    bool   // a client with any version of its roster is taken for one that can be brought up to date
	NoMeeting  bool   // nobody is told what was changed while the server was cut off
	NoLevel    bool   // a session that has come from another server keeps what it saw there
	KeepShown  bool   // it is not told who is gone
	Between    bool   // a picture lacks those that are off the table and not told to be gone
	AsItLeft   bool   // where a session has gone is asked nobody
	NoDirect   bool   // what is directed to a session that moves is forgotten
	GiveUp     bool   // levelling that finds a roster unreadable is not done later
	AllHanded  bool   // presence that a session gets by its old server counts
	NoQuestion bool   // who has directed presence is not asked when two servers have told of it
	KeepTaken  bool   // what a session has taken back of directed presence, and its last server could not tell before it came, stays
	KeepOld    bool   // what a server has told of a session that has left it and come back counts
	AsHeard    bool   // of a session of which two servers tell in turns what was heard last counts
	ShowHere   bool   // what is directed to a session that moves is told only where that was
	ShowHalf   bool   // a session that came back before its old one had ended here is taken for gone
	TakeHere   bool   // what was directed to a session is taken back only where that is
	OnListed   bool   // the end of a subscription looks at sessions in the table alone
	SightLate  bool   // it looks at those of other servers that are in sight when it has ended, not at those before
	AnyProbe   bool   // who asks another server for presence is shown it
	PartAll    bool   // presence that ends for one contact is taken for the end of the session
	InTurn     bool   // records of contacts that can't be had are waited for in turn
	LateEnd    bool   // the end of a session is told also when the one that has taken its resource was seen before
}

const rosterLocks = 64 // power of two

// Service handles rosters and presence of one domain. It is safe for concurrent use.
type Service struct {
	domain    string
	store     Rosters
	table     *session.Table
	router    *router.Router
	log       *slog.Logger
	limits    Limits
	policy    atomic.Pointer[Policy]
	faults    Faults
	groups    groups
	late      late
	counts    Counters
	pushes    atomic.Uint64 // numbers roster pushes
	others    Others        // nil: there are none
	met       func()        // set with others
	blockPush func(ctx context.Context, account string, payload []byte, b *session.Batch)
	sights    sights
	seeks     seeks
	levels    levels

	unknown session.Contacts // of a roster that can't be read

	seed  maphash.Seed
	locks [rosterLocks]sync.Mutex // of rosters, by bare JID

	regrouping sync.Mutex // one look at an account's group at a time, with what follows
}

// New makes the service, without shared groups until Load. Close ends it. Faults are for tests.
func New(store Rosters, table *session.Table, r *router.Router, limits Limits, policy Policy, log *slog.Logger, faults Faults) *Service {
	if limits.RosterItems == 0 {
		limits.RosterItems = 2000
	}
	if limits.Directed == 0 {
		limits.Directed = 500
	}
	s := &Service{domain: r.Domain(), store: store, table: table, router: r, log: log, limits: limits, faults: faults, seed: maphash.MakeSeed()}
	s.groups.set(nil)
	s.late.init(s)
	s.SetPolicy(policy)
	return s
}

// Load loads the shared groups, anew if it is called again: what other servers have said meanwhile may have been
// lost with a link.
func (s *Service) Load(ctx context.Context) error {
	return s.groups.fill(func() ([]account.Member, error) { return s.store.Grouped(ctx) })
}

// Close ends the service's goroutine. Presence that waits for its turn is not sent.
func (s *Service) Close() { s.late.close() }

// Counters count what the policies have done since the service was made.
type Counters struct {
	Broadcasts      atomic.Uint64 // presence sent to all subscribers
	Late            atomic.Uint64 // broadcasts put off by the rate limit
	TooLarge        atomic.Uint64 // presence refused for its size
	DirectedRefused atomic.Uint64 // directed presence refused by switch or limit
	RosterFull      atomic.Uint64 // items and subscriptions refused because a roster was full
	RequestsRefused atomic.Uint64 // subscription requests to accounts that have too many
	Hidden          atomic.Int64  // sessions that are invisible now
}

// Counts returns the service's counters.
func (s *Service) Counts() *Counters { return &s.counts }

// lock takes the locks of two rosters, or of one if both are the same, and returns what releases
// them.
func (s *Service) lock(a, b stanza.JID) (unlock func()) {
	i := maphash.String(s.seed, a.Bare().String()) % rosterLocks
	k := maphash.String(s.seed, b.Bare().String()) % rosterLocks
	if i > k {
		i, k = k, i
	}
	s.locks[i].Lock()
	if i == k {
		return s.locks[i].Unlock
	}
	s.locks[k].Lock()
	return func() {
		s.locks[k].Unlock()
		s.locks[i].Unlock()
	}
}

// isLocal reports whether a JID is of the domain that is served here.
func (s *Service) isLocal(j stanza.JID) bool { return j.Domain == s.domain }

func (s *Service) bare(name string) string { return name + "@" + s.domain }
