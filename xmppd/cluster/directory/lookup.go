package directory

import "slices"

// Others returns where an account that has sessions here has more of them; empty if nowhere.
func (d *Directory) Others(account string) Entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.views[account]
}

// Lookup returns where the sessions of an account are, if that is known without asking. What is not
// known is not empty: Ask. A resource (empty: any) that is not in what was remembered may have been bound
// since: that is not known. Nor is it where the account has sessions here: what was said to them may be wrong.
func (d *Directory) Lookup(account, resource string) (e Entry, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e, remembered := d.cache[account]; remembered && resource != "" && e.Find(resource) == "" && !d.cfg.Faults.NoSecondLook {
		delete(d.cache, account)
	}
	e, known = d.lookup(account)
	if len(d.own[account]) > 0 && len(d.shards.servers) > 1 && resource != "" && e.Find(resource) == "" && !d.cfg.Faults.NoDoubt {
		d.doubted[account] = true
		return e, false
	}
	return e, known
}

func (d *Directory) lookup(account string) (Entry, bool) {
	if own := d.own[account]; len(own) > 0 {
		return d.views[account].with(d.cfg.Self, own), true
	}
	if slices.Contains(d.shards.of(account), d.cfg.Self) && d.settled() {
		return d.shard[account], true
	}
	e, ok := d.cache[account]
	return e, ok
}

// settled reports whether owners know all they have to know.
func (d *Directory) settled() bool {
	return len(d.shards.servers) == 1 || d.cfg.Now().Sub(d.changed) > d.cfg.Settle
}

// Ask finds out where the sessions of an account are, and calls then, on the goroutine of a link or
// the caller's: it must not wait.
func (d *Directory) Ask(account string, then func(Entry)) {
	d.locked(func(o *outgoing) {
		doubted := d.doubted[account]
		delete(d.doubted, account)
		if a := d.asks[account]; a != nil {
			a.then = append(a.then, then)
			return
		}
		if e, known := d.lookup(account); known && !doubted {
			o.calls = append(o.calls, func() { then(e) })
			return
		}
		owners := d.shards.of(account)
		whom := owners[:1]
		if i := slices.IndexFunc(owners, d.cfg.Near); i >= 0 {
			whom = owners[i : i+1]
		}
		switch {
		case !d.settled():
			whom = d.shards.servers
		case doubted:
			whom = owners // also the one that has told what is doubted: its answer is believed from now on
		}
		a := &ask{waits: make(map[string]bool), found: d.shard[account], then: []func(Entry){then}}
		d.asks[account] = a
		for _, server := range whom {
			if server != d.cfg.Self {
				a.waits[server] = true
				o.send(server, askFrame(account))
			}
		}
		if len(a.waits) == 0 {
			d.answered(o, account, "", nil)
		}
	})
}

// answered takes note of an answer, or that there will be none.
func (d *Directory) answered(o *outgoing, account, server string, e Entry) {
	a := d.asks[account]
	if a == nil {
		return
	}
	delete(a.waits, server)
	for _, h := range e {
		if slices.Contains(d.shards.servers, h.Server) { // what can't be reached doesn't count
			a.found = a.found.with(h.Server, h.Sessions)
		}
	}
	if len(a.waits) > 0 {
		return
	}
	delete(d.asks, account)
	found := a.found.with(d.cfg.Self, d.own[account])
	if len(found) > 0 {
		d.remember(account, found)
	}
	for _, then := range a.then {
		o.calls = append(o.calls, func() { then(found) })
	}
}

// remember puts an answer into the cache. That an account is nowhere is not remembered.
func (d *Directory) remember(account string, e Entry) {
	if d.cfg.Cache < 0 {
		return
	}
	if len(d.cache) >= d.cfg.Cache {
		for other := range d.cache { // any
			delete(d.cache, other)
			break
		}
	}
	d.cache[account] = e
}

// Forget drops what is remembered of an account: it was wrong.
func (d *Directory) Forget(account string) {
	d.mu.Lock()
	delete(d.cache, account)
	d.mu.Unlock()
}

// Sizes counts what is kept, in accounts: with sessions here, owned, remembered.
func (d *Directory) Sizes() (own, owned, remembered int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.own), len(d.shard), len(d.cache)
}

// Barrier calls then when the owners of an account know what they were told of it before, or have
// gone. It must not wait.
func (d *Directory) Barrier(account string, then func()) {
	d.locked(func(o *outgoing) {
		d.barriers++
		id := d.barriers
		x := &barrier{account: account, waits: make(map[string]bool), then: then}
		for _, owner := range d.shards.of(account) {
			if owner != d.cfg.Self {
				x.waits[owner] = true
				o.send(owner, echoFrame(kindEcho, id))
			}
		}
		if len(x.waits) == 0 {
			o.calls = append(o.calls, then)
			return
		}
		d.waiting[id] = x
	})
}

// barrier is a Barrier under way.
type barrier struct {
	account string
	waits   map[string]bool
	then    func()
}

// echoed takes note that an owner has come to a barrier, or that it is gone.
func (d *Directory) echoed(o *outgoing, id uint64, server string) {
	x := d.waiting[id]
	if x == nil {
		return
	}
	if delete(x.waits, server); len(x.waits) == 0 {
		delete(d.waiting, id)
		o.calls = append(o.calls, x.then)
	}
}

// Idle reports whether no question is under way.
func (d *Directory) Idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.asks) == 0 && len(d.waiting) == 0
}
