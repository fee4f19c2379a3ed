package xmppd

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/session"
)

// ahead reads what the server remembers of accounts before their stanzas need it: when a session has come, and when something
// was forgotten. The second stream of a data node may be idle until the server of the first one dies, and the records that this
// one led can be read by nobody until their groups have new leaders. It is done for accounts with a shared group, data
// nodes and their clients: users log in by the thousand, and what they need is read when they need it.
type ahead struct {
	grouped func(local string) bool
	read    func(context.Context, *session.User) error
	log     *slog.Logger
	faults  aheadFaults
	wake    chan struct{} // capacity 1

	mu   sync.Mutex
	due  map[*session.User]struct{}
	left int // due, being read, or put off
}

// aheadFaults are bugs that this package's tests plant.
type aheadFaults struct {
	AtLogin bool // what was forgotten is not read again
	Users   bool // it is done for everybody
	GiveUp  bool // what could not be read is not tried again
}

const (
	aheadReaders = 4               // accounts at a time: one whose records can't be had does not hold up the others
	aheadFor     = 2 * time.Second // at most, for one account
)

func newAhead(grouped func(string) bool, read func(context.Context, *session.User) error, log *slog.Logger, f aheadFaults) *ahead {
	return &ahead{grouped: grouped, read: read, log: log, faults: f, wake: make(chan struct{}, 1), due: make(map[*session.User]struct{})}
}

// changed is told of an account whose sessions have come or gone. It doesn't wait.
func (a *ahead) changed(u *session.User) {
	local, _, _ := strings.Cut(u.Bare, "@")
	if len(u.Sessions()) == 0 || !a.grouped(local) && !a.faults.Users {
		return
	}
	a.mu.Lock()
	if _, is := a.due[u]; !is {
		a.due[u] = struct{}{}
		a.left++
	}
	a.mu.Unlock()
	a.signal()
}

// forgotten is told of an account of which something was forgotten. It doesn't wait.
func (a *ahead) forgotten(u *session.User) {
	if !a.faults.AtLogin {
		a.changed(u)
	}
}

func (a *ahead) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// next takes an account that is due; nil: there is none.
func (a *ahead) next() *session.User {
	a.mu.Lock()
	defer a.mu.Unlock()
	for u := range a.due {
		delete(a.due, u)
		if len(a.due) > 0 {
			a.signal()
		}
		return u
	}
	return nil
}

// idle reports whether nothing is left to be read.
func (a *ahead) idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.left == 0
}

func (a *ahead) done(n int) {
	a.mu.Lock()
	a.left -= n
	a.mu.Unlock()
}

// run reads for one account after the other until ctx ends. Several may run.
func (a *ahead) run(ctx context.Context) {
	var failed []*session.User
	var again <-chan time.Time
	for {
		for u := a.next(); u != nil && ctx.Err() == nil; u = a.next() {
			if a.one(ctx, u) || a.faults.GiveUp {
				a.done(1)
				continue
			}
			if failed = append(failed, u); again == nil {
				again = time.After(refreshAgain)
			}
		}
		select {
		case <-a.wake:
		case <-again:
			for _, u := range failed {
				a.changed(u)
			}
			a.done(len(failed))
			failed, again = nil, nil
		case <-ctx.Done():
			return
		}
	}
}

// one reads for an account, if it still has sessions.
func (a *ahead) one(ctx context.Context, u *session.User) bool {
	if len(u.Sessions()) == 0 {
		return true
	}
	ctx, stop := context.WithTimeout(ctx, aheadFor)
	defer stop()
	if err := a.read(ctx, u); err != nil {
		a.log.Debug("what stanzas of an account need can't be read ahead", "account", u.Bare, "error", err)
		return false
	}
	return true
}
