package replicated

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// ledger is load with a book: each update of an owner adds one to a counter and leaves a record of its own.
type ledger struct {
	owners int
	wg     sync.WaitGroup
	stop   chan struct{}
	runs   atomic.Int64 // that have begun, so that no two entries have one name
	done   atomic.Int64 // updates that were acknowledged
	mu     sync.Mutex
	acked  map[string]bool // by record
	maybe  map[string]bool // store.ErrUncertain
	failed []error         // what no update may say
}

func newLedger(owners int) *ledger {
	return &ledger{owners: owners, stop: make(chan struct{}), acked: make(map[string]bool), maybe: make(map[string]bool)}
}

func owner(i int) string { return fmt.Sprintf("user%d", i) }

// run updates through a store until the ledger or this load is stopped. An owner has several writers
// where several stores run.
func (l *ledger) run(s *Store, stop chan struct{}) {
	run := l.runs.Add(1)
	for o := range l.owners {
		l.wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.stop:
					return
				case <-stop:
					return
				default:
				}
				l.one(s, owner(o), fmt.Sprintf("%s-%d-%d", owner(o), run, i))
			}
		})
	}
}

func (l *ledger) one(s *Store, owner, id string) {
	err := s.Update(context.Background(), owner, func(tx store.Tx) error { return book(tx, id) })
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.acked[id] = true
		l.done.Add(1)
	case errors.Is(err, store.ErrUncertain):
		l.maybe[id] = true
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrContended), errors.Is(err, store.ErrClosed): // surely not
	default:
		l.failed = append(l.failed, err)
	}
}

func book(tx store.Tx, id string) error {
	n := 0
	v, err := tx.Get("count", nil)
	if err == nil {
		n, err = strconv.Atoi(string(v))
	} else if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return errors.Join(err, tx.Put("count", nil, []byte(strconv.Itoa(n+1))), tx.Put("entries", []byte(id), []byte("v")))
}

// audit compares the book with what a store has: "" if they agree.
func (l *ledger) audit(ctx context.Context, s store.Store) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failed) > 0 {
		return fmt.Errorf("%d updates failed: %w", len(l.failed), l.failed[0])
	}
	found := make(map[string]bool)
	for o := range l.owners {
		err := s.View(ctx, owner(o), func(r store.Reader) error {
			n := 0
			err := r.Scan("entries", store.Range{}, func(key, _ []byte) bool {
				n++
				found[string(key)] = true
				return true
			})
			v, err2 := r.Get("count", nil)
			if n > 0 && string(v) != strconv.Itoa(n) {
				err = errors.Join(err, err2, fmt.Errorf("%s has %d entries and counted %s", owner(o), n, v))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for id := range l.acked {
		if !found[id] {
			return fmt.Errorf("acknowledged and lost: %s", id)
		}
	}
	for id := range found {
		if !l.acked[id] && !l.maybe[id] {
			return fmt.Errorf("refused and yet there: %s", id)
		}
	}
	return nil
}

// more waits until so many more updates were acknowledged.
func (l *ledger) more(t testing.TB, n int64) {
	t.Helper()
	until := l.done.Load() + n
	eventually(t, fmt.Sprintf("%d more updates", n), func() bool { return l.done.Load() >= until })
}

func (l *ledger) end() {
	close(l.stop)
	l.wg.Wait()
}
