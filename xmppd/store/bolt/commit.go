package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// One transaction takes that many updates, and about that many bytes.
const (
	maxBatch      = 4096
	maxBatchBytes = 32 << 20
)

// update is a call of Update that waits for the committer.
type update struct {
	ctx   context.Context
	owner string
	f     func(store.Tx) error

	done     chan struct{} // closed when what follows is settled
	err      error
	panicked any
}

// committer is the state of the goroutine that commits; only that goroutine uses it.
type committer struct {
	batch  []*update // under way, not answered
	failed error     // why no more changes are taken
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, owner string, f func(store.Tx) error) error {
	if err := errors.Join(store.CheckOwner(owner), ctx.Err()); err != nil {
		return err
	}
	u := &update{ctx: ctx, owner: owner, f: f, done: make(chan struct{})}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return store.ErrClosed
	}
	s.pending = append(s.pending, u)
	s.arrived.Signal()
	s.mu.Unlock()
	<-u.done
	if u.panicked != nil {
		panic(u.panicked)
	}
	return u.err
}

// commitLoop commits what gathers until the store is closed and nothing is left.
func (s *Store) commitLoop() {
	defer onFault()()
	defer s.abandon()
	for s.wait() {
		// Those that were just answered may be about to come back: let them run first.
		runtime.Gosched()
		s.commitBatch()
		s.answer()
	}
}

// wait returns when there are updates; false if there will be none.
func (s *Store) wait() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) == 0 && !s.closing {
		s.arrived.Wait()
	}
	return len(s.pending) > 0
}

// next takes an update into the batch; nil if none waits.
func (s *Store) next() *update {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 {
		s.pending = nil // let go of the array
		return nil
	}
	u := s.pending[0]
	s.pending = s.pending[1:]
	s.batch = append(s.batch, u)
	return u
}

// abandon answers what a committer leaves behind that a function has ended by runtime.Goexit.
func (s *Store) abandon() {
	s.mu.Lock()
	s.closing = true
	s.batch = append(s.batch, s.pending...)
	s.pending = nil
	s.mu.Unlock()
	s.refuse(errors.New("the function of an update has ended the committer's goroutine (runtime.Goexit, t.Fatal)"))
	s.answer()
}

func (s *Store) answer() {
	for _, u := range s.batch {
		close(u.done)
	}
	clear(s.batch)
	s.batch = s.batch[:0]
}

// refuse gives all of the batch the same error.
func (s *Store) refuse(err error) {
	for _, u := range s.batch {
		u.err = err
	}
}

// commitBatch runs what waits in one transaction and commits it.
func (s *Store) commitBatch() {
	btx, err := s.begin(true)
	if err != nil {
		if errors.Is(err, store.ErrCorrupt) {
			s.fail(err)
		}
		s.next()
		s.refuse(err)
		return
	}
	defer s.release(btx)
	changed, err := s.run(btx)
	if s.faults.ackEarly {
		s.answer()
	}
	if err == nil && changed {
		err = s.commit(btx)
	}
	if err != nil {
		s.refuse(err)
	}
}

// run runs the functions of what waits.
func (s *Store) run(btx *bbolt.Tx) (changed bool, err error) {
	var data *bbolt.Bucket
	if err := s.internal(func() error { data = btx.Bucket(bucketData()); return nil }); err != nil {
		s.next()
		return false, err
	}
	for n, size := 0, 0; n < maxBatch && size < maxBatchBytes; n++ {
		u := s.next()
		if u == nil {
			break
		}
		if u.err = s.failed; u.err != nil {
			continue
		}
		if u.err = u.ctx.Err(); u.err != nil {
			continue
		}
		t := &tx{reader: reader{data: data, owner: u.owner, faults: &s.faults}}
		if v := u.run(t); v != nil {
			u.err = damagedFile(s.path, v)
			s.sparePast(u)
			return false, nil
		}
		if (u.err != nil || u.panicked != nil) && !s.faults.keepFailed {
			if err := s.internal(t.undo); err != nil {
				return false, err
			}
		}
		changed = changed || len(t.undone) > 0
		size += t.bytes
	}
	return changed, nil
}

// run keeps a panic for the goroutine that called Update, and returns one that comes from the file.
func (u *update) run(t *tx) (damage any) {
	defer func() {
		if v := recover(); t.inside || isFault(v) {
			damage = v
		} else {
			u.panicked = v
		}
	}()
	u.err = u.f(t)
	return nil
}

// sparePast leaves only one update in the batch, for the transaction is lost with it: the others
// begin again in the next.
func (s *Store) sparePast(u *update) {
	s.mu.Lock()
	defer s.mu.Unlock()
	others := make([]*update, 0, len(s.batch)+len(s.pending))
	for _, o := range s.batch {
		if o != u {
			o.err, o.panicked = nil, nil
			others = append(others, o)
		}
	}
	s.pending = append(others, s.pending...)
	s.batch = append(s.batch[:0], u)
}

// commit makes a transaction durable.
func (s *Store) commit(btx *bbolt.Tx) error {
	id := btx.ID()
	commit := btx.Commit
	if s.faults.commit != nil {
		commit = func() error { return s.faults.commit(btx.Commit) }
	}
	err := s.internal(commit)
	if err == nil {
		return nil
	}
	if !s.visible(id) {
		if errors.Is(err, store.ErrCorrupt) {
			s.fail(err)
		}
		// The old state still counts on disk: the pages that were written belong to nobody.
		return fmt.Errorf("store the change: %w", err)
	}
	err = fmt.Errorf("the disk failed: %w; restart the server when the disk is well: %w", store.ErrUncertain, err)
	if !s.faults.goOn {
		s.fail(err)
	}
	return err
}

// visible tells whether the state of transaction id has become the state of the file.
func (s *Store) visible(id int) bool {
	rtx, err := s.begin(false)
	if err != nil {
		return true // for all that is known
	}
	defer s.release(rtx)
	return rtx.ID() >= id
}
