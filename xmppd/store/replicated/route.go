package replicated

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// errClosing: the store is being closed.
var errClosing = errors.New("the store is closing")

// How long one server may take to answer before another one is asked, and how long is
// waited between tries, at first and at most.
const (
	firstWait = 150 * time.Millisecond
	lastWait  = 2 * time.Second
	firstRest = 5 * time.Millisecond
	lastRest  = 200 * time.Millisecond
)

// How long is rested after a conflict with another server's update, at first and at most; half of it is random, or the same ones
// would meet again. It is about as long as an update takes: the longer one rests, the more often others are first.
const (
	firstConflictRest = 2 * time.Millisecond
	lastConflictRest  = 40 * time.Millisecond
)

// raced is the reason why a try was in vain that has lost against another server's.
const raced = "another server has changed the records first"

// candidates are the members to ask for a group, the best first: who is known to lead
// it, this server if it has a replica, the other replicas.
func (s *Store) candidates(group uint32, here bool) []uint64 {
	doc := s.ring.Load()
	if doc == nil {
		return nil
	}
	var list []uint64
	add := func(id uint64) {
		if id != 0 && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	self := s.dir.Member()
	held := slices.Contains(doc.Group(group), self) || slices.Contains(doc.Goal(group), self)
	if here && held {
		add(self)
	}
	if leader, ok := s.node.LeaderOf(group); ok {
		add(leader)
	} else if leader, ok := s.leaders.Load(group); ok {
		add(leader.(uint64))
	}
	for _, id := range slices.Concat(doc.Goal(group), doc.Group(group)) {
		add(id)
	}
	return list
}

// try is one operation's way from server to server.
type try struct {
	s        *Store
	ctx      context.Context
	deadline time.Time
	wait     time.Duration
	rest     time.Duration
	// conflictRest is how long is rested at most after the next conflict.
	conflictRest time.Duration
	turn         int
	member       uint64 // that was asked last
	unknown      bool   // a try may have had effect
	last         string
	group        uint32
	grouped      bool // group counts
}

// hastyPatience is how long an operation waits for a group that could not be reached a moment ago.
const hastyPatience = time.Second

// of says which group the operation is about. It has little time for one that could not be reached a moment ago, nor for another one
// that has no majority of servers that are connected: who needs several would wait for each in turn.
func (t *try) of(group uint32) {
	t.group, t.grouped = group, true
	if t.s.lost.is(group) || t.s.lost.count() > 0 && t.s.cutOff(group) && !t.s.opt.faults.eachInFull {
		if d := time.Now().Add(min(hastyPatience, t.s.opt.Patience)); d.Before(t.deadline) {
			t.deadline = d
		}
	}
}

// cutOff tells whether a majority of a group's servers is not connected.
func (s *Store) cutOff(group uint32) bool {
	there, majority := present(s.ring.Load(), s.ring.Load().Group(group), func(m ring.Member) bool { return !s.calls.isDown(nameOf(m)) })
	return len(there) < majority
}

// reached notes that the group has answered.
func (t *try) reached() { t.s.lost.found(t.group) }

func (s *Store) newTry(ctx context.Context) *try {
	patience := s.opt.Patience
	if s.ending.Load() {
		patience = min(patience, hastyPatience)
	}
	return &try{s: s, ctx: ctx, deadline: time.Now().Add(patience), wait: firstWait, rest: firstRest, conflictRest: firstConflictRest}
}

// Ending says that Close is going to be called soon: operations that begin from now on have no patience with
// servers that may be stopping, too.
func (s *Store) Ending() { s.ending.Store(true) }

// next asks the next candidate for a group. done is false when somebody else is to be
// asked, or later. Errors end the operation: see fail.
func (t *try) next(group uint32, r *request, here bool) (a answer, done bool, err error) {
	list := t.s.candidates(group, here)
	if len(list) == 0 {
		t.last = "this server does not know the cluster's ring yet"
		return a, false, t.pause()
	}
	member := list[t.turn%len(list)]
	t.member = member
	// Once it may have had effect it has to be found out, whoever waits for it.
	ctx := t.ctx
	if t.unknown {
		ctx = context.WithoutCancel(ctx)
	}
	a, err = t.s.ask(ctx, member, r, t.wait)
	if err != nil {
		t.unknown = true
		t.wait, t.turn, t.last = min(2*t.wait, lastWait), t.turn+1, err.Error()
		return a, false, t.ended()
	}
	switch a.code {
	case op.Redirect:
		t.last = a.text
		if a.leader != 0 && a.leader != member {
			t.s.leaders.Store(group, a.leader)
			if _, known := t.s.node.LeaderOf(group); !known {
				t.turn = 0
				return a, false, t.pause()
			}
		}
		t.turn++
		return a, false, t.pause()
	case op.Retry:
		t.unknown = true
		fallthrough
	case op.Unavailable, op.Full, op.Overloaded:
		t.turn, t.last = t.turn+1, a.text
		return a, false, t.pause()
	}
	t.reached()
	return a, true, nil
}

// bell wakes all that wait for it.
type bell struct {
	mu   sync.Mutex
	rung chan struct{} // closed when it rings
}

func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
}

// pause waits before the next try.
func (t *try) pause() error {
	rest := t.rest
	t.rest = min(2*t.rest, lastRest)
	return t.sleep(rest)
}

// yield waits before the next try of an update that has lost against another server's: the group is there, and its own tries are to
// begin anew.
func (t *try) yield() error {
	rest := t.nextConflictRest()
	t.rest, t.last = firstRest, raced
	return t.sleep(rest)
}

func (t *try) nextConflictRest() time.Duration {
	rest := t.conflictRest/2 + rand.N(t.conflictRest/2)
	t.conflictRest = min(2*t.conflictRest, lastConflictRest)
	return rest
}

func (t *try) sleep(rest time.Duration) error {
	if err := t.ended(); err != nil {
		return err
	}
	timer := time.NewTimer(rest)
	defer timer.Stop()
	done := t.ctx.Done()
	if t.unknown {
		done = nil
	}
	select {
	case <-timer.C:
	case <-t.s.back.wait():
		t.rest = firstRest
	case <-done:
	case <-t.s.quit:
	}
	return t.ended()
}

// ended says why there is to be no other try, nil if there is. store.ErrUncertain: it is not
// known whether a try had effect. Else none had: ErrUnavailable, ErrContended, store.ErrClosed, those of
// the context.
func (t *try) ended() error {
	closing := t.s.ended()
	late := !time.Now().Before(t.deadline)
	races := t.last == raced && !t.s.opt.faults.lostRace // the group has answered
	if late && t.grouped && !closing && !races {
		t.s.lost.add(t.group)
	}
	switch {
	case !closing && !late && (t.unknown || t.ctx.Err() == nil):
		return nil
	case t.unknown:
		return fmt.Errorf("%w: no server could tell in time (%s)", store.ErrUncertain, t.last)
	case closing:
		return store.ErrClosed
	case errors.Is(t.ctx.Err(), context.DeadlineExceeded) && t.last != "":
		return fmt.Errorf("%w: %w (%s)", ErrUnavailable, t.ctx.Err(), t.last)
	case t.ctx.Err() != nil:
		return t.ctx.Err()
	case races:
		return ErrContended
	}
	return fmt.Errorf("%w: no success in time (%s)", ErrUnavailable, t.last)
}
