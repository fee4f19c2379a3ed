package session

import "context"

// cut notes that the transport is lost, if the session can go on without it: if the client knows
// that stanzas are kept for it.
func (o *Outbox) cut() bool {
	a := o.acks()
	if a == nil || a.seconds == 0 || o.gone+uint64(o.off) < a.start {
		return false
	}
	a.cut = true
	return true
}

// leaving reports whether the transport is to be given up: nobody waits for it any more.
func (o *Outbox) leaving() bool {
	a := o.acks()
	return a != nil && a.cut && !a.policy.Faults.TwoWriters
}

// orphan returns what ends a session that has no transport, and so no goroutine that would.
func (o *Outbox) orphan() func() {
	a := o.acks()
	if a == nil || a.place != detached {
		return nil
	}
	f := a.orphan
	a.orphan = nil
	return f
}

// gone wakes up who waits for the transport to be given up.
func (a *acks) gone() {
	if a.given != nil {
		close(a.given)
		a.given = nil
	}
}

// Detach takes the transport from an outbox whose stanzas are kept, and lets the session wait for
// another one. The goroutine that reads the transport calls it and has nothing to do with the session
// from then on. end is called once, on a goroutine of its own, should the session have to end before
// that. ok is false if the session can't wait: it has not asked for it, or has been ended by somebody.
//
// last is written if somebody has claimed the session, and if that takes no waiting; said reports it.
func (o *Outbox) Detach(last []byte, end func()) (said, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.acks()
	if o.reason != nil || a == nil || a.seconds == 0 {
		return false, false
	}
	taken := a.place == leaving
	if a.parting != nil {
		last, taken = a.parting, true
	}
	a.cut, a.parting = true, nil
	if !a.policy.Faults.TwoWriters {
		broken := o.stalled
		if broken {
			o.mu.Unlock()
			o.t.Abort() // nobody else sets t
			o.mu.Lock()
		}
		for o.writing { // not for the network: leaving
			o.idle.Wait()
		}
		if taken && !broken && o.err == nil {
			o.writing = true
			o.mu.Unlock()
			_, pending, err := o.t.TryWrite(last)
			said = err == nil && !pending
			o.mu.Lock()
			o.writing = false
		}
		if o.reason != nil || !o.cut() {
			return said, false
		}
		o.use(nil)
		o.q, o.w, o.off, o.gone = nil, nil, 0, o.taken
		o.err, o.closed = nil, false
	}
	o.recount()
	a.place, a.age, a.asked, a.since, a.orphan = detached, 0, false, 0, end
	a.gone()
	if !a.watched {
		a.watched = true
		a.policy.Watch.add(o)
	}
	return said, true
}

// Claim makes the outbox ready for Attach: it makes the stream that uses it give it up, and waits for
// that. h is what the client of that stream has handled. The error is ErrGone if the session has
// ended, or somebody else has claimed it; ctx's; or an *AckError. After success the caller must call
// Attach or Unclaim.
func (o *Outbox) Claim(ctx context.Context, h uint32) error { return o.claim(ctx, &h) }

func (o *Outbox) claim(ctx context.Context, h *uint32) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.acks()
	if a == nil || a.seconds == 0 {
		return ErrGone
	}
	for a.place != detached {
		if a.place == claimed || o.closed {
			return ErrGone
		}
		a.place, a.cut = leaving, true
		if a.given == nil {
			a.given = make(chan struct{})
		}
		given, t := a.given, o.t
		o.mu.Unlock()
		t.Abort()
		select {
		case <-given:
			o.mu.Lock()
		case <-ctx.Done():
			o.mu.Lock()
			return ctx.Err()
		}
	}
	if o.closed {
		return ErrGone
	}
	if h != nil && !a.policy.Faults.IgnoreH {
		if err := a.ack(o.pool, *h); err != nil {
			return err
		}
		o.recount()
		o.passed()
	}
	a.place = claimed
	return nil
}

// Unclaim takes back a Claim: the session waits on.
func (o *Outbox) Unclaim() {
	o.mu.Lock()
	o.opt.acks.place = detached
	if o.closed {
		o.end(o.reason)
		return
	}
	o.mu.Unlock()
}

// Attach gives a claimed session a transport. hello goes out first, then what is not acknowledged,
// then what comes. Nothing is held back any more (XEP-0352 section 5.2).
func (b *Batch) Attach(s *Session, t Transport, hello []byte) {
	o := &s.Out
	o.mu.Lock()
	o.drain()
	o.opt.filter = nil
	a := o.opt.acks
	if !o.writing { // only a planted bug has somebody write on
		o.use(t)
	}
	a.place, a.cut, a.orphan = attached, false, nil
	o.queue(hello, nil, nil, nil)
	n := len(o.q.b)
	o.q.b = a.appendKept(o.q.b)
	o.taken += uint64(len(o.q.b) - n)
	o.recount()
	if a.count > 0 {
		o.ask(a)
	}
	b.owe(o, true)
	closed := o.closed
	o.mu.Unlock()
	if closed {
		t.Abort() // ended meanwhile: the reader of t finds out
	}
}

// Detached tells for how many ticks of Watch the session has waited for a transport; ok is false if
// it has one.
func (o *Outbox) Detached() (ticks int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.acks()
	if a == nil || a.place != detached || o.closed {
		return 0, false
	}
	return a.age, true
}

// AckID is the name that EnableAcks has given the session; "" without, and when another server has got it.
func (o *Outbox) AckID() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if a := o.acks(); a != nil && !a.settled {
		return a.id
	}
	return ""
}
