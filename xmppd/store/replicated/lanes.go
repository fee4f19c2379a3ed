package replicated

import (
	"context"
	"slices"
	"sync"
)

// maxTogether is how many updates of an owner are committed together at most.
const maxTogether = 64

// lanes gather the updates of each owner: one goroutine an owner runs what is there, and what comes
// meanwhile goes together into the next commit.
type lanes struct {
	mu      sync.Mutex // guards the updates' running, too
	waiting map[string][]*update
}

// update is a call of Update.
type update struct {
	ctx      context.Context
	f        updateFunc
	running  bool // f has run, or will in a moment: it can't be withdrawn
	err      error
	panicked any
	done     chan struct{}
}

// add queues an update. first says that nobody looks after the owner yet.
func (l *lanes) add(owner string, u *update) (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = make(map[string][]*update)
	}
	list, busy := l.waiting[owner]
	l.waiting[owner] = append(list, u)
	return !busy
}

// take takes what waits; none: nobody looks after the owner any more.
func (l *lanes) take(owner string) []*update {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.waiting[owner]
	if len(list) == 0 {
		delete(l.waiting, owner)
		return nil
	}
	n := min(len(list), maxTogether)
	l.waiting[owner] = slices.Clone(list[n:])
	return list[:n:n]
}

// begin marks the updates that are to run, and leaves out those whose context has ended.
func (l *lanes) begin(list []*update) []*update {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(list, func(u *update) bool {
		if u.ctx.Err() != nil {
			return true
		}
		u.running = true
		return false
	})
}

// pause says that updates may be withdrawn until they run again.
func (l *lanes) pause(list []*update) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range list {
		u.running = false
	}
}

// wait waits for the outcome, or until the context ends and the update does not run.
func (l *lanes) wait(u *update) error {
	select {
	case <-u.done:
	case <-u.ctx.Done():
		l.mu.Lock()
		running := u.running
		l.mu.Unlock()
		if !running {
			return u.ctx.Err()
		}
		<-u.done
	}
	if u.panicked != nil {
		panic(u.panicked)
	}
	return u.err
}
