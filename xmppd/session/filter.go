package session

// Filter holds stanzas back from a client that isn't looking (XEP-0352). Its Outbox calls it with a
// lock held, so it must neither wait nor call back.
type Filter interface {
	// Hold is asked about each stanza, whole and valid during the call. True: the filter keeps it.
	// False: what is held goes out, and then this stanza.
	Hold(raw []byte) bool
	// Drain gives away what is held, in order, and forgets it. What put is given is copied.
	Drain(put func(raw []byte))
}

// SetFilter puts a filter before the queue of a session, or takes it away (nil). What the one before
// holds goes out.
func (b *Batch) SetFilter(s *Session, f Filter) {
	o := &s.Out
	o.mu.Lock()
	owe := o.drain()
	if f != nil || o.opt != nil {
		o.options().filter = f
	}
	o.mu.Unlock()
	b.owe(o, owe)
}

// Filtered reports whether a filter is before the queue.
func (o *Outbox) Filtered() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.opt != nil && o.opt.filter != nil
}

// hold offers a stanza to the filter. If it isn't held, what was held is in the queue before it.
func (o *Outbox) hold(p0, p1, p2, p3 []byte) (held, owe bool) {
	c := o.pool.get()
	defer o.pool.put(c)
	c.b = append(append(append(append(c.b, p0...), p1...), p2...), p3...)
	if o.opt.filter.Hold(c.b) {
		return true, false
	}
	return false, o.drain()
}

// drain puts what is held into the queue, whatever its limit: a filter holds little.
func (o *Outbox) drain() (owe bool) {
	if o.opt == nil || o.opt.filter == nil {
		return false
	}
	o.opt.filter.Drain(func(raw []byte) { owe = o.add(raw, nil, nil, nil) || owe })
	return owe
}
