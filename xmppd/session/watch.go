package session

import "sync"

// Watch looks after the outboxes that wait for something of their clients: an acknowledgement, or
// to come back. Its owner calls Tick once a second. The zero value is ready; it is safe for
// concurrent use.
type Watch struct {
	mu   sync.Mutex
	list []*Outbox
}

func (w *Watch) add(o *Outbox) {
	w.mu.Lock()
	w.list = append(w.list, o)
	w.mu.Unlock()
}

// Tick asks clients for acknowledgements, gives up transports whose clients don't answer, and ends
// sessions that have waited long enough. It doesn't wait for slow receivers.
func (w *Watch) Tick() {
	w.mu.Lock()
	list := w.list
	w.list = nil
	w.mu.Unlock()
	keep := list[:0]
	for _, o := range list {
		if o.tick() {
			keep = append(keep, o)
		}
	}
	clear(list[len(keep):])
	if len(keep) == 0 {
		return
	}
	w.mu.Lock()
	w.list = append(keep, w.list...)
	w.mu.Unlock()
}

// tick reports whether the outbox still waits for something.
func (o *Outbox) tick() (waits bool) {
	o.mu.Lock()
	a := o.opt.acks
	switch {
	case o.closed || a.settled || a.place == attached && a.count == 0:
		a.watched = false
		o.mu.Unlock()
		return false
	case a.place == detached:
		if a.age++; a.age > a.seconds {
			a.watched = false
			o.end(ErrExpired)
			return false
		}
	case a.place != attached || a.cut:
	case !a.asked:
		owe := o.ask(a)
		o.mu.Unlock()
		if owe {
			o.Flush()
		}
		return true
	case o.q != nil || o.w != nil:
		a.age = 0 // the request may still be here
	default:
		if a.age++; a.age > a.policy.Patience {
			t := o.t
			o.mu.Unlock()
			t.Abort() // its reader finds out
			return true
		}
	}
	o.mu.Unlock()
	return true
}
