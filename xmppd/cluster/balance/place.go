package balance

import (
	"slices"
	"time"
)

// Name is what this server is called; clients that are sent away tell it to the next one.
func (b *Balancer) Name() string { return b.cfg.Self }

// All reports whether clients are sent away, too, that have not said that they can follow.
func (b *Balancer) All() bool { return b.cfg.All }

// Offer reports whether there is a server that clients could be sent to.
func (b *Balancer) Offer(direct bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.open(direct)) > 0
}

// Place finds the server for a client that is about to log in here: the address that it is to be sent to, or
// "" if it stays. For one that stays Settled has to be called. zone is the one that the client prefers, if
// any; hops is how often it was sent to another server; direct says that its TLS has begun with the first byte.
func (b *Balancer) Place(zone string, hops int, direct bool) (addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := ""
	if hops == 0 || b.cfg.Faults.SendOn {
		name = b.choose(zone, direct)
	}
	if name == "" {
		b.coming++
		return ""
	}
	p := b.peers[name]
	p.sent++
	b.sentAway.Inc()
	return p.report.addr(direct)
}

// Settled takes note that a client that stayed has bound a resource, or has gone. from is the server that
// had sent it.
func (b *Balancer) Settled(from string, bound bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.coming--
	if !bound || from == "" {
		return
	}
	b.came.Inc()
	if b.peers[from] != nil {
		b.arrived[from]++
	}
}

// choose names the server that a client is sent to, or is empty.
func (b *Balancer) choose(zone string, direct bool) string {
	all := b.open(direct)
	if zone == "" || !b.served(all, zone) {
		zone = b.cfg.Zone
	}
	near := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return b.peers[name].report.Zone != zone })
	if !b.cfg.Takes() { // it doesn't matter how much there is to do
		if len(near) > 0 {
			all = near
		}
		return b.less(all)
	}
	other := b.less(slices.DeleteFunc(near, func(name string) bool { return b.peers[name].report.CPU >= busy }))
	if other == "" || zone != b.cfg.Zone {
		return other
	}
	own := b.cfg.Sessions() + b.coming
	if own-b.load(other) > max(least, own/margin) || b.spent(other) {
		return other
	}
	return ""
}

// spent reports whether this server has no CPU left, and another one has: then it doesn't matter how many sessions they have.
func (b *Balancer) spent(other string) bool {
	own := b.cfg.CPU()
	return own >= busy && b.peers[other].report.CPU <= own-lower && !b.cfg.Faults.KeepAll
}

func (b *Balancer) served(all []string, zone string) bool {
	return slices.ContainsFunc(all, func(name string) bool { return b.peers[name].report.Zone == zone })
}

// less draws two servers and names the one that has less to do; "" if there is none.
func (b *Balancer) less(all []string) string {
	switch len(all) {
	case 0:
		return ""
	case 1:
		return all[0]
	}
	i := b.cfg.Draw(len(all))
	j := (i + 1 + b.cfg.Draw(len(all)-1)) % len(all)
	if b.load(all[j]) < b.load(all[i]) {
		i = j
	}
	return all[i]
}

// load is how many sessions a server has, with those that are on their way to it.
func (b *Balancer) load(name string) int {
	p := b.peers[name]
	n := p.report.Sessions
	if !b.cfg.Faults.Uncounted {
		n += p.onWay(b.cfg.Now())
	}
	return n
}

// open are the servers that clients can be sent to.
func (b *Balancer) open(direct bool) (names []string) {
	now := b.cfg.Now()
	connected := b.cfg.Links.Connected()
	if b.cfg.Faults.Leaving {
		connected = connected[:0:0]
		for name := range b.peers {
			connected = append(connected, name)
		}
	}
	for _, name := range connected {
		if p := b.peers[name]; p != nil && p.report.addr(direct) != "" && (p.usable(now) || b.cfg.Faults.Leaving) {
			names = append(names, name)
		}
	}
	return names
}

func (p *peer) usable(now time.Time) bool { return p.report.Takes && now.Sub(p.at) < fresh }
