// Package last tells how long ago an account was on line, and how long the server has been up
// (XEP-0012, version 2.0).
package last

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// NS is the namespace of the payload.
const NS = "jabber:iq:last"

// collection keeps when an account was on line last, in seconds of Unix time, under the empty key.
const collection = "last"

// Module tells last activity.
type Module struct {
	Store store.Store
	Table *session.Table
	// MaySee tells whether somebody gets an account's presence.
	MaySee func(ctx context.Context, owner, peer stanza.JID) (bool, error)
	// Elsewhere tells whether an account has a session on another server that others see. It may wait, for a bounded
	// time. nil: there are no other servers.
	Elsewhere func(ctx context.Context, account string) (bool, error)
	// Exists tells whether the owner is an account.
	Exists  func(store.Reader) (bool, error)
	Log     *slog.Logger
	Started time.Time        // of the server
	Now     func() time.Time // nil: time.Now

	mu     sync.Mutex
	unkept map[string]int64 // ends of sessions that the store does not have yet, by account
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "last", Spec: "XEP-0012", Version: "2.0", Title: "Last Activity"}
}

// Features implements module.Module.
func (*Module) Features() []string { return []string{NS} }

// Routes implements module.Module.
func (m *Module) Routes() []module.Route {
	return []module.Route{{NS: NS, Scope: module.ToServer | module.ToAccount, Public: true, Handle: m.handle}}
}

// Extend implements module.Extender.
func (m *Module) Extend(e *module.Extension) {
	e.AccountFeatures = []string{NS}
	e.Ended = m.ended
}

func (m *Module) now() time.Time {
	if m.Now == nil {
		return time.Now()
	}
	return m.Now()
}

// ended notes the end of the last session of an account.
func (m *Module) ended(_ context.Context, s *session.Session) {
	if u := m.Table.User(s.Bare); u != nil && len(u.Sessions()) > 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unkept == nil {
		m.unkept = make(map[string]int64)
	}
	m.unkept[s.JID.Local] = m.now().Unix()
}

const (
	keepEvery = time.Second // what a crash can lose
	keepers   = 64          // at once: they share the store's commits
)

// Run implements module.Runner: it keeps the ends of sessions, many at a time, so that a session's
// end does not wait for the disk.
func (m *Module) Run(ctx context.Context) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.keep()
		case <-ctx.Done():
			m.keep()
			return
		}
	}
}

// keep stores what is not kept yet. It does not end with the server's context: the last sessions
// end when that does.
func (m *Module) keep() {
	m.mu.Lock()
	all := maps.Clone(m.unkept)
	m.mu.Unlock()
	var g errgroup.Group
	g.SetLimit(keepers)
	for name, at := range all {
		g.Go(func() error {
			if err := m.store(name, at); err != nil {
				m.Log.Error("end of a session not noted", "account", name, "error", err)
			}
			m.mu.Lock()
			if m.unkept[name] == at {
				delete(m.unkept, name)
			}
			m.mu.Unlock()
			return nil
		})
	}
	_ = g.Wait() // each has logged its own error
}

func (m *Module) store(name string, at int64) error {
	return m.Store.Update(context.Background(), name, func(tx store.Tx) error {
		if there, err := m.Exists(tx); !there {
			return err // the session has ended because the account was removed
		}
		return tx.Put(collection, nil, binary.BigEndian.AppendUint64(nil, uint64(at))) //nolint:gosec // after 1970
	})
}

// end is when an account was on line last. ErrNotFound, ErrCorrupt.
func (m *Module) end(ctx context.Context, name string) (at time.Time, err error) {
	m.mu.Lock()
	unkept, ok := m.unkept[name]
	m.mu.Unlock()
	if ok {
		return time.Unix(unkept, 0), nil
	}
	err = m.Store.View(ctx, name, func(r store.Reader) error {
		v, err := r.Get(collection, nil)
		if err == nil && len(v) != 8 {
			err = fmt.Errorf("%w: %s of %q", store.ErrCorrupt, collection, name)
		}
		if err == nil {
			at = time.Unix(int64(binary.BigEndian.Uint64(v)), 0) //nolint:gosec // as store has written it
		}
		return err
	})
	return at, err
}

func (m *Module) handle(ctx context.Context, iq *module.IQ) ([]byte, error) {
	switch {
	case iq.Set:
		return nil, module.BadRequest("last activity can't be set")
	case iq.Target.Local == "":
		return answer(m.now().Sub(m.Started)), nil
	case !iq.Own():
		may, err := m.MaySee(ctx, iq.Target, iq.From.Bare())
		if err != nil {
			return nil, err
		}
		if !may { // section 4: to those who get the account's presence only
			return nil, module.Forbidden("only who gets the presence of an account is told")
		}
	}
	if u := m.Table.User(iq.Target.String()); u != nil {
		for _, s := range u.Sessions() {
			if s.Presence() != nil { // an invisible session is no news (XEP-0186)
				return answer(0), nil
			}
		}
	}
	if m.Elsewhere != nil {
		iq.Batch.Block()
		if is, err := m.Elsewhere(ctx, iq.Target.String()); err != nil || is {
			return answer(0), err
		}
	}
	at, err := m.end(ctx, iq.Target.Local)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, module.NotFound("the account was never on line")
	case err != nil:
		return nil, fmt.Errorf("read last activity: %w", err)
	}
	return answer(m.now().Sub(at)), nil
}

func answer(since time.Duration) []byte {
	seconds := strconv.FormatInt(max(int64(since/time.Second), 0), 10)
	return []byte("<query xmlns='" + NS + "' seconds='" + seconds + "'/>")
}
