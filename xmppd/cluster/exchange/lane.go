package exchange

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/xmppd/session"
)

// lane runs what concerns some accounts, one after the other.
type lane struct {
	waiting atomic.Int64 // tasks that are not done
	wake    chan struct{}

	mu    sync.Mutex
	tasks []func(*session.Batch)
	asked map[string][]stored // by account: what waits for the directory
	bytes int                 // of asked
}

const lanes = 8

func newLanes() (out [lanes]*lane) {
	for i := range out {
		out[i] = &lane{wake: make(chan struct{}, 1), asked: make(map[string][]stored)}
	}
	return out
}

// lane is where an account's stanzas are handled.
func (x *Exchange) lane(account string) *lane {
	return x.lanes[maphash.String(x.seed, account)%lanes]
}

func (l *lane) add(f func(*session.Batch)) {
	l.waiting.Add(1)
	l.mu.Lock()
	l.tasks = append(l.tasks, f)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run handles tasks until stop is closed, and then those that are left.
func (l *lane) run(stop <-chan struct{}) {
	var b session.Batch
	for {
		l.mu.Lock()
		tasks := l.tasks
		l.tasks = nil
		l.mu.Unlock()
		for i, f := range tasks {
			f(&b)
			tasks[i] = nil
		}
		b.Flush()
		l.waiting.Add(-int64(len(tasks)))
		if len(tasks) > 0 {
			continue
		}
		select {
		case <-l.wake:
		case <-stop:
			return
		}
	}
}
