package session

import (
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

const shards = 64 // power of two

// Contacts is what presence needs of an account's roster; immutable once published.
type Contacts struct {
	From []string // bare JIDs subscribed to the account's presence
	To   []string // bare JIDs whose presence the account is subscribed to
	// Asked are bare JIDs of other domains that have not answered a subscription request.
	Asked    []string
	Requests [][]byte // subscription requests that wait for the account's answer
}

// User is the entry of an account that has sessions, or had some that have something to give back.
type User struct {
	Bare     string
	To       []byte                     // the attribute ` to='bare JID'`, escaped
	sessions atomic.Pointer[[]*Session] // copied on write
	idle     atomic.Uint32              // marks that modules have dropped (Interest)
	memos    memos
	forks    forks
	leavers  leavers
	table    *Table
	Sent     Meters // what all sessions together send

	loading sync.Mutex // one load at a time; taken before mu

	mu       sync.Mutex
	contacts *Contacts // nil: not loaded
	forgets  uint64    // counts Forget
}

// Sessions returns the sessions of the account, none for a nil User. The slice must not be changed.
func (u *User) Sessions() []*Session {
	if u == nil {
		return nil
	}
	if p := u.sessions.Load(); p != nil {
		return *p
	}
	return nil
}

// Contacts returns what load has returned since the last Forget, calling it if need be. It must
// not call back into the User.
func (u *User) Contacts(load func() (*Contacts, error)) (*Contacts, error) {
	if c, _ := u.loaded(); c != nil {
		return c, nil
	}
	u.loading.Lock()
	defer u.loading.Unlock()
	c, forgets := u.loaded()
	if c != nil {
		return c, nil
	}
	c, err := load()
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil && u.forgets == forgets { // else it may be from before a change: not to be kept
		u.contacts = c
	}
	return c, err
}

func (u *User) loaded() (c *Contacts, forgets uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.contacts, u.forgets
}

// Loaded reports whether Contacts returns at once.
func (u *User) Loaded() bool {
	c, _ := u.loaded()
	return c != nil
}

// Forget drops the loaded contacts. It is called after the roster has changed in the store: what
// was loaded before the change is dropped, what is loaded later sees it. It waits for no load.
func (u *User) Forget() {
	u.mu.Lock()
	u.contacts = nil
	u.forgets++
	u.mu.Unlock()
	u.forgot()
}

// forgot calls Table.Forgotten.
func (u *User) forgot() {
	if u.table != nil && u.table.Forgotten != nil {
		u.table.Forgotten(u)
	}
}

type userShard struct {
	mu sync.RWMutex
	m  map[string]*User
}

type fullShard struct {
	mu sync.RWMutex
	m  map[string]*Session
}

// Table finds sessions by full JID and users by bare JID. It is safe for concurrent use.
// A lock of full is only ever taken inside one of users, never the other way round.
type Table struct {
	// Changed is told of an account whose sessions have come, gone, or have another priority. It is set
	// before the first session; nil: nobody wants to know. It must not wait, and is called without locks
	// of this package; calls for one account may come in another order than the changes.
	Changed func(*User)
	// Forgotten is told of an account of which something has been forgotten that was remembered: contacts, or what
	// modules had looked up (Memo). What is said of Changed holds.
	Forgotten func(*User)

	seed  maphash.Seed
	users [shards]userShard
	full  [shards]fullShard
	count atomic.Int64
}

// NewTable returns an empty table.
func NewTable() *Table {
	t := &Table{seed: maphash.MakeSeed()}
	for i := range shards {
		t.users[i].m = make(map[string]*User)
		t.full[i].m = make(map[string]*Session)
	}
	return t
}

// Lookup finds a session by the bytes of an attribute that is its full JID, without allocation. The
// bytes must be in the prepared form of RFC 7622, without references to characters; others are not
// found.
func (t *Table) Lookup(full []byte) *Session {
	sh := &t.full[maphash.Bytes(t.seed, full)%shards]
	sh.mu.RLock()
	s := sh.m[string(full)]
	sh.mu.RUnlock()
	if s != nil && s.escaped {
		return nil // such bytes in an attribute are another name
	}
	return s
}

// Get finds a session by its full JID.
func (t *Table) Get(full string) *Session {
	sh := &t.full[maphash.String(t.seed, full)%shards]
	sh.mu.RLock()
	s := sh.m[full]
	sh.mu.RUnlock()
	return s
}

func (t *Table) userShard(bare string) *userShard {
	return &t.users[maphash.String(t.seed, bare)%shards]
}

// User finds the entry of a bare JID; nil if it has none.
func (t *Table) User(bare string) *User {
	sh := t.userShard(bare)
	sh.mu.RLock()
	u := sh.m[bare]
	sh.mu.RUnlock()
	return u
}

// Count is the number of sessions.
func (t *Table) Count() int { return int(t.count.Load()) }

// Rule says which sessions Bind may list.
type Rule struct {
	Max   int  // sessions of one account; 0: any number
	Other int  // sessions that it has on other servers
	Keep  bool // a session that has the resource keeps it
}

// Reasons why Bind doesn't list a session.
var (
	ErrTaken   = errors.New("the resource is bound by another stream")
	ErrTooMany = errors.New("the account has too many sessions")
)

// Bind lists a session. If its full JID is taken the new session replaces the old one, which is
// returned: the caller ends it (RFC 6120 section 7.7.2.2: the newest wins), unless the rule lets the
// old one keep it: ErrTaken. ErrTooMany. For one that was replaced Left has to be called.
func (t *Table) Bind(s *Session, rule Rule) (old *Session, err error) {
	if old, err = t.bind(s, rule); err == nil {
		s.user.tell()
	}
	return old, err
}

// tell calls Table.Changed.
func (u *User) tell() {
	if u.table.Changed != nil {
		u.table.Changed(u)
	}
}

func (t *Table) bind(s *Session, rule Rule) (old *Session, err error) {
	sh := t.userShard(s.Bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	u := sh.m[s.Bare]
	if u == nil {
		u = &User{Bare: s.Bare, To: stanza.AppendAttr(nil, "to", s.Bare), table: t}
		u.idle.Store(Leaving)
	}
	s.user = u // also of one that is refused: its stream may have more to read
	list := slices.Clone(u.Sessions())
	i := slices.IndexFunc(list, func(x *Session) bool { return x.Full == s.Full })
	switch {
	case i >= 0 && rule.Keep:
		return nil, ErrTaken
	case i >= 0:
		old = list[i]
		u.Leave(old)
		list[i] = s
	case rule.Max > 0 && len(list)+rule.Other >= rule.Max:
		return nil, ErrTooMany
	default:
		list = append(list, s)
		t.count.Add(1)
	}
	sh.m[s.Bare] = u
	u.sessions.Store(&list)
	fs := &t.full[maphash.String(t.seed, s.Full)%shards]
	fs.mu.Lock()
	fs.m[s.Full] = s
	fs.mu.Unlock()
	return old, nil
}

// Unbind removes a session, for which Left has to be called. It reports false if it was not listed, or
// had been replaced.
func (t *Table) Unbind(s *Session) bool {
	was := t.unbind(s)
	if was {
		s.user.tell()
	}
	return was
}

func (t *Table) unbind(s *Session) bool {
	sh := t.userShard(s.Bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	u := sh.m[s.Bare]
	if u == nil {
		return false
	}
	i := slices.Index(u.Sessions(), s)
	if i < 0 {
		return false
	}
	u.Leave(s) // first: who doesn't find it knows
	list := slices.Delete(slices.Clone(u.Sessions()), i, i+1)
	u.sessions.Store(&list)
	fs := &t.full[maphash.String(t.seed, s.Full)%shards]
	fs.mu.Lock()
	delete(fs.m, s.Full)
	fs.mu.Unlock()
	t.count.Add(-1)
	return true
}

// Each calls f for every session that was bound when the call began and still is, in no order,
// until f returns false. No lock is held while f runs.
func (t *Table) Each(f func(*Session) bool) {
	for i := range t.full {
		sh := &t.full[i]
		sh.mu.RLock()
		list := make([]*Session, 0, len(sh.m))
		for _, s := range sh.m {
			list = append(list, s)
		}
		sh.mu.RUnlock()
		for _, s := range list {
			if !f(s) {
				return
			}
		}
	}
}
