package appclient

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// turns lets the transactions of one client that have lost to others on a root go on one after the other, the first
// that came first, so that they do not beat each other again and again. It is no lock: what a transaction depends on
// is checked when it commits, and of other clients it knows nothing.
//
// Who has not lost yet needs no turn: transactions on different objects of a root do not wait for each
// other. Only where the one whose turn it is has lost again do those that come wait, too.
type turns struct {
	mu    sync.Mutex
	lines map[string]*line // by root; none is empty
}

// line is the queue of a root. The first in it has the turn.
type line struct {
	places []*place
	shut   bool      // for those who come
	since  time.Time // the first has lost last, or got the turn
}

// place is a transaction's place in the line of its root; it belongs to one goroutine.
type place struct {
	turns *turns
	root  string
	turn  chan struct{} // closed when it is the first; nil: it is in no line
}

const (
	// turnTime is how long the first in a line may take for an attempt before others go on beside it: its
	// function may wait for one of theirs.
	turnTime = 2 * time.Second
	// lossesToShut is how often the first may lose before those who come have to wait behind it.
	lossesToShut = 2
)

// arrive waits for a turn where all have to. Errors: ctx's cause.
func (p *place) arrive(ctx context.Context) error {
	p.turns.mu.Lock()
	l := p.turns.lines[p.root]
	wait := l != nil && l.shut
	if wait {
		p.enter(l)
	}
	p.turns.mu.Unlock()
	if !wait {
		return nil
	}
	return p.await(ctx)
}

// lost waits for the next attempt after one that others have spoilt: for its turn, or where it had that for a time
// with jitter, about pause. losses are those so far. Errors: ctx's cause.
func (p *place) lost(ctx context.Context, losses int, pause time.Duration) error {
	p.turns.mu.Lock()
	l := p.turns.lines[p.root]
	if p.turn == nil {
		if l == nil {
			l = new(line)
			if p.turns.lines == nil {
				p.turns.lines = make(map[string]*line)
			}
			p.turns.lines[p.root] = l
		}
		p.enter(l)
	}
	first := l.places[0] == p
	if first {
		l.since = time.Now()
		l.shut = l.shut || losses >= lossesToShut
	}
	p.turns.mu.Unlock()
	if !first {
		return p.await(ctx)
	}
	t := time.NewTimer(pause/2 + rand.N(pause/2+1))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enter takes the last place. The lock is held.
func (p *place) enter(l *line) {
	p.turn = make(chan struct{})
	if l.places = append(l.places, p); len(l.places) == 1 {
		l.begin()
	}
}

// begin gives the turn to the first. The lock is held.
func (l *line) begin() {
	l.shut, l.since = false, time.Now()
	close(l.places[0].turn)
}

// await returns at the place's turn, or when the first has made no attempt for too long.
func (p *place) await(ctx context.Context) error {
	t := time.NewTimer(turnTime)
	defer t.Stop()
	for {
		select {
		case <-p.turn:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.C:
		}
		p.turns.mu.Lock()
		left := turnTime - time.Since(p.turns.lines[p.root].since)
		p.turns.mu.Unlock()
		if left <= 0 {
			return nil
		}
		t.Reset(left)
	}
}

// leave gives up the place, and the turn to the next.
func (p *place) leave() {
	if p.turn == nil {
		return
	}
	p.turns.mu.Lock()
	defer p.turns.mu.Unlock()
	l := p.turns.lines[p.root]
	at := slices.Index(l.places, p)
	l.places = slices.Delete(l.places, at, at+1)
	switch {
	case len(l.places) == 0:
		delete(p.turns.lines, p.root)
	case at == 0:
		l.begin()
	}
}
