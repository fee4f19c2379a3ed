// Package blocking is the blocking command (XEP-0191, version 1.3): an account's list of addresses
// that it wants nothing to do with. The core asks the module (Extension.Blocks) before it delivers
// anything to an account or takes anything from it for somebody; presence is package im's part.
//
// The list is in the collection "blocking" of the account, a record an address. Of accounts that
// are on line it is remembered, and those without a list cost nothing (session.Memo).
package blocking

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// NS is the namespace of the requests and pushes.
const NS = "urn:xmpp:blocking"

const (
	collection   = "blocking"
	defaultItems = 1000
	maxBytes     = 128 << 10 // of the addresses of a list: it goes out in one stanza
)

// Presence is the part of blocking that is about presence.
type Presence interface {
	// Blocked takes back the presence of the owner's sessions from those of the addresses that had
	// it by subscription. It is called after the change.
	Blocked(ctx context.Context, owner stanza.JID, others []stanza.JID) error
	// Unblocked sends it, and brings the owner theirs.
	Unblocked(ctx context.Context, owner stanza.JID, others []stanza.JID) error
	// TellBlockPush has other servers call Module.PushHere.
	TellBlockPush(account string, payload []byte)
}

// Config is the module's part of the configuration. Zero stands for the default.
type Config struct {
	Items int `toml:"items"` // addresses in a list: 1000
}

// Options are what the module needs.
type Options struct {
	Config
	Store      store.Store
	Table      *session.Table
	Presence   Presence
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Faults     Faults
}

// Faults are bugs that tests plant, to see that a test would notice them.
type Faults struct {
	AsTold bool // a push says what was done, whatever the list has now
}

// Module answers the requests. Make it with New.
type Module struct {
	opt    Options
	memo   session.Memo[list]
	pushes atomic.Uint64 // numbers pushes
	full   prometheus.Counter

	// change makes a change and its pushes one, so that sessions see the changes in the order
	// in which the store has them; order makes a look at the list and a push of what it has one. By owner, as far as
	// there are locks.
	change [64]sync.Mutex
	order  [64]sync.Mutex
	seed   maphash.Seed
}

// New makes the module.
func New(opt Options) *Module {
	if opt.Items == 0 {
		opt.Items = defaultItems
	}
	m := &Module{opt: opt, seed: maphash.MakeSeed(), full: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "xmppd", Name: "blocking_refused_total", Help: "Addresses not blocked because a list was full.",
	})}
	opt.Registerer.MustRegister(m.full)
	return m
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "blocking", Spec: "XEP-0191", Version: "1.3", Title: "Blocking Command"}
}

// Features implements module.Module.
func (*Module) Features() []string { return []string{NS} }

// Routes implements module.Module.
func (m *Module) Routes() []module.Route {
	return []module.Route{{NS: NS, Scope: module.ToAccount, Handle: m.handle}}
}

// Extend implements module.Extender.
func (m *Module) Extend(e *module.Extension) {
	m.memo.Mark = e.Interest
	e.Blocks = m.blocks
	e.Remember = func(ctx context.Context, owner stanza.JID) error {
		_, err := m.list(ctx, owner)
		return err
	}
	e.AccountFeatures = []string{NS}
}

// list is the addresses that an account blocks; immutable.
type list map[stanza.JID]struct{}

// has compares an address with the list, in the order of XEP-0191 section 5.
func (l list) has(j stanza.JID) bool {
	for _, as := range [...]stanza.JID{j, j.Bare(), {Domain: j.Domain}} {
		if _, is := l[as]; is {
			return true
		}
	}
	return false
}

func (m *Module) blocks(ctx context.Context, owner, other stanza.JID) (bool, error) {
	l, err := m.list(ctx, owner)
	return l.has(other), err
}

// list is the list of an account, as it is remembered if that is on line.
func (m *Module) list(ctx context.Context, owner stanza.JID) (list, error) {
	return m.memo.Get(m.opt.Table.User(owner.String()), func() (list, bool, error) {
		l, err := m.load(ctx, owner)
		return l, len(l) == 0, err
	})
}

func (m *Module) load(ctx context.Context, owner stanza.JID) (l list, err error) {
	err = m.opt.Store.View(ctx, owner.Local, func(r store.Reader) error {
		l, _, err = read(r)
		return err
	})
	return l, err
}

// read returns a stored list and how many bytes its addresses have.
func read(r store.Reader) (l list, bytes int, err error) {
	l = make(list)
	var bad error
	err = r.Scan(collection, store.Range{}, func(key, _ []byte) bool {
		var j stanza.JID
		if j, bad = stanza.ParseJID(string(key)); bad != nil {
			bad = fmt.Errorf("%w: %w", store.ErrCorrupt, bad)
			return false
		}
		l[j] = struct{}{}
		bytes += len(key)
		return true
	})
	return l, bytes, errors.Join(err, bad)
}
