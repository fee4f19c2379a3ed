package replicated

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// maxOutstanding is how many writes of a session may be under way: fewer than op.MaxWindow,
// beyond which a write would not be executed.
const maxOutstanding = op.MaxWindow / 2

// session is this server's session in one group: its writes there have numbers, so that a
// group executes each once, however often it is asked (docs/adr/0001).
type session struct {
	opening chan struct{} // holds a token while one may open it

	mu     sync.Mutex
	id     op.Session // 0: to be opened
	seq    uint64     // the last one given
	open   []uint64   // that have no answer yet, ascending
	change chan struct{}
}

func newSession() *session {
	return &session{opening: make(chan struct{}, 1), change: make(chan struct{})}
}

func (s *Store) session(group uint32) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.sessions[group]
	if x == nil {
		x = newSession()
		s.sessions[group] = x
	}
	return x
}

// name gives a write its name. It waits for the session to be open.
func (x *session) name(t *try, group uint32, w *op.Write) error {
	for {
		x.mu.Lock()
		if x.id != 0 && (len(x.open) == 0 || x.seq-x.open[0] < maxOutstanding) {
			x.seq++
			x.open = append(x.open, x.seq)
			w.Session, w.Seq = x.id, x.seq
			x.mu.Unlock()
			return nil
		}
		opened, change := x.id != 0, x.change
		x.mu.Unlock()
		if opened {
			select {
			case <-change:
			case <-t.ctx.Done():
				return t.ctx.Err()
			case <-t.s.quit:
				return store.ErrClosed
			}
			continue
		}
		if err := x.begin(t, group); err != nil {
			return err
		}
	}
}

// begin opens the session, if nobody else has meanwhile. It may be opened twice when an answer is
// lost; nobody uses the other one, and it expires.
func (x *session) begin(t *try, group uint32) error {
	select {
	case x.opening <- struct{}{}:
		defer func() { <-x.opening }()
	case <-t.ctx.Done():
		return t.ctx.Err()
	case <-t.s.quit:
		return store.ErrClosed
	}
	x.mu.Lock()
	opened := x.id != 0
	x.mu.Unlock()
	if opened {
		return nil
	}
	// Nothing that a caller would notice is changed by it: its own try.
	own := t.s.newTry(context.WithoutCancel(t.ctx))
	own.deadline = t.deadline
	for {
		a, done, err := own.next(group, &request{kind: askOpen, group: group, text: jidOf(t.s.opt.Name)}, false)
		switch {
		case err != nil:
			own.unknown = false
			return own.ended()
		case done && a.code == op.OK:
			x.mu.Lock()
			x.id, x.seq, x.open = a.session, 0, nil
			x.mu.Unlock()
			return nil
		case done:
			return fmt.Errorf("open a session in group %d: %s", group, a.text)
		}
	}
}

// floor is the lowest sequence without an answer.
func (x *session) floor(id op.Session, seq uint64) uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.id != id || len(x.open) == 0 {
		return seq
	}
	return min(x.open[0], seq)
}

// answered says that a write needs its name no more.
func (x *session) answered(w *op.Write) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.id != w.Session {
		return
	}
	if i, ok := slices.BinarySearch(x.open, w.Seq); ok {
		x.open = slices.Delete(x.open, i, i+1)
	}
	close(x.change)
	x.change = make(chan struct{})
}

// expired says that the group does not know the session any more.
func (x *session) expired(id op.Session) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.id == id {
		x.id, x.open = 0, nil
		close(x.change)
		x.change = make(chan struct{})
	}
}
