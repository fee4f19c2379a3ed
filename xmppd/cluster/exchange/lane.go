package exchange

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// lane runs what concerns some accounts, one after the other.
type lane struct {
	waiting atomic.Int64 // tasks that are not done
	wake    chan struct{}

	mu    sync.Mutex
	tasks []task
	held  map[string]int      // bytes of the tasks of each account that has some
	total int                 // of them together
	asked map[string][]stored // by account: what waits for the directory
	bytes int                 // of asked
}

// task is something to be done, for stanzas of an account that came from other servers with their bytes.
type task struct {
	do      func(*session.Batch)
	account string
	bytes   int
}

const lanes = 8

// What is looked at in a lane may wait for disks, of other servers, too. So much of what comes meanwhile waits, in bytes, for
// one account and in one lane, a stanza counting for stanzaCost more than it has; beyond it goes back to its sender.
const (
	maxHeld    = 2 << 20
	maxLane    = 16 << 20
	stanzaCost = 512
)

func newLanes() (out [lanes]*lane) {
	for i := range out {
		out[i] = &lane{wake: make(chan struct{}, 1), asked: make(map[string][]stored), held: make(map[string]int)}
	}
	return out
}

// lane is where an account's stanzas are handled.
func (x *Exchange) lane(account string) *lane {
	return x.lanes[maphash.String(x.seed, account)%lanes]
}

func (l *lane) add(f func(*session.Batch)) {
	l.mu.Lock()
	l.enter(task{do: f})
	l.mu.Unlock()
}

// take adds what is to be done with a stanza for an account, unless too much waits there already.
func (l *lane) take(account string, size int, f func(*session.Batch)) bool {
	size += stanzaCost
	l.mu.Lock()
	defer l.mu.Unlock()
	if held := l.held[account]; held > 0 && (held+size > maxHeld || l.total+size > maxLane) {
		return false
	}
	l.held[account] += size
	l.total += size
	l.enter(task{do: f, account: account, bytes: size})
	return true
}

// done takes note that a stanza has been looked at.
func (l *lane) done(t *task) {
	if t.bytes == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total -= t.bytes
	if l.held[t.account] -= t.bytes; l.held[t.account] == 0 {
		delete(l.held, t.account)
	}
}

// enter adds a task. mu must be held.
func (l *lane) enter(t task) {
	l.waiting.Add(1)
	l.tasks = append(l.tasks, t)
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
		for i := range tasks {
			tasks[i].do(&b)
			l.done(&tasks[i])
			tasks[i] = task{}
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

// patience is how long a stanza may have waited whose account's records can't be had: each that is tried may take a second or
// more (store/replicated), so that whoever stands behind would hear nothing for long.
const patience = time.Second

// late gives back a stanza that has waited in vain for others like it.
func (x *Exchange) late(p *module.Passage, account string, came time.Time) bool {
	if time.Since(came) < patience || !x.cfg.Lost(account) || x.cfg.Router.AtOnce(p) || x.cfg.Faults.Stand {
		return false
	}
	x.counts.Late.Add(1)
	x.cfg.Router.Undelivered(x.ctx, p, &module.Error{Type: "wait", Condition: "resource-constraint", Text: "the records of the receiver can't be had at the moment"})
	return true
}
