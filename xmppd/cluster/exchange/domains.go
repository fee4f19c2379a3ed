package exchange

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/cluster/link"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// domains are other domains that components of the servers serve. A server tells all others which it has; they
// forget it when that one is cut off. Of two servers with one domain the one keeps it that has got it last.
type domains struct {
	mu       sync.Mutex
	own      map[string]int64            // since when, Unix ns
	others   map[string]map[string]int64 // by server
	conflict func(domain string)         // ends what serves a domain here
}

// Attached implements router.Cluster.
func (x *Exchange) Attached(domain string, is bool) {
	d := &x.domains
	d.mu.Lock()
	defer d.mu.Unlock()
	if is {
		d.own[domain] = time.Now().UnixNano()
	} else {
		delete(d.own, domain)
		domain = ""
	}
	for _, server := range x.cfg.Mesh.Connected() {
		x.tellDomains(server, domain)
	}
}

// tellDomains tells a server which domains are served here; one of them may be new. mu must be held, so that the
// last to be told is what is so.
func (x *Exchange) tellDomains(server, fresh string) {
	if x.cfg.Faults.HideDomains {
		return
	}
	frame := appendHead(nil, kindDomains, 1, fresh)
	for domain, since := range x.domains.own {
		frame = binary.AppendVarint(appendText(frame, domain), since)
	}
	if err := x.cfg.Mesh.Send(server, Stanzas, frame); err != nil {
		x.log.Debug("domains not told to a server", "server", server, "error", err)
	}
}

// toldDomains takes what another server serves.
func (x *Exchange) toldDomains(server string, s *stored) {
	has := make(map[string]int64)
	for b := s.raw; len(b) > 0; {
		domain, rest, ok := cutText(b)
		since, n := binary.Varint(rest)
		if !ok || n <= 0 {
			x.log.Error("domains of a server can't be read", "server", server)
			return
		}
		has[domain], b = since, rest[n:]
	}
	d := &x.domains
	d.mu.Lock()
	d.others[server] = has
	var lost []string
	for domain, since := range has {
		own, here := d.own[domain]
		if here && (domain == s.to || since > own || since == own && server > x.cfg.Self) {
			lost = append(lost, domain)
		}
	}
	d.mu.Unlock()
	for _, domain := range lost {
		if d.conflict != nil {
			d.conflict(domain)
		}
	}
}

// greetDomains tells a server that is connected now what is served here, forgetDomains drops what one had.
func (x *Exchange) greetDomains(server string) {
	x.domains.mu.Lock()
	defer x.domains.mu.Unlock()
	if len(x.domains.own) > 0 {
		x.tellDomains(server, "")
	}
}

func (x *Exchange) forgetDomains(server string) {
	x.domains.mu.Lock()
	defer x.domains.mu.Unlock()
	delete(x.domains.others, server)
}

// OnConflict sets what ends the component that serves a domain here, when it has come to another server.
// It must not wait, and is set before the first component.
func (x *Exchange) OnConflict(f func(domain string)) { x.domains.conflict = f }

// Elsewhere implements router.Cluster.
func (x *Exchange) Elsewhere(domain string) module.Domain {
	d := &x.domains
	d.mu.Lock()
	defer d.mu.Unlock()
	best, latest := "", int64(0)
	for server, has := range d.others {
		if since, serves := has[domain]; serves && (best == "" || since > latest || since == latest && server > best) {
			best, latest = server, since
		}
	}
	if best == "" {
		return nil
	}
	return distant{x, best}
}

// Domains implements router.Cluster.
func (x *Exchange) Domains() (list []string) {
	d := &x.domains
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, has := range d.others {
		for domain := range has {
			list = append(list, domain)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// distant is a domain that another server serves.
type distant struct {
	x      *Exchange
	server string
}

// Receive implements module.Domain.
func (d distant) Receive(_ context.Context, p *module.Passage) error {
	err := sendTo(d.x, d.server, kindDomain, p.To.String(), p)
	switch {
	case errors.Is(err, link.ErrFull):
		return &module.Error{Type: "wait", Condition: "resource-constraint", Text: "too much waits for the server that has the component"}
	case err != nil:
		return &module.Error{Type: "wait", Condition: "remote-server-timeout", Text: "the server that has the component is cut off"}
	}
	d.x.hopped(d.x.route(d.server))
	return nil
}

// toDomain takes a stanza for a component from another server, or one that did not get there.
func (x *Exchange) toDomain(server string, s *stored, doubt bool) {
	x.lane(domainOf(s.to)).add(func(b *session.Batch) {
		p, err := s.passage(b)
		switch {
		case err != nil:
			x.log.Error("stanza for a component can't be read", "server", server, "error", err)
		case doubt:
			x.counts.Doubtful.Add(1)
			x.cfg.Router.Undelivered(x.ctx, p, &module.Error{
				Type: "wait", Condition: "remote-server-timeout",
				Text: "the component's server was cut off before it answered: this may have been delivered",
			})
		default:
			x.cfg.Router.ArriveElsewhere(x.ctx, p)
		}
	})
}

// domainOf is the domain of a JID.
func domainOf(jid string) string {
	jid = bare(jid)
	for i := range len(jid) {
		if jid[i] == '@' {
			return jid[i+1:]
		}
	}
	return jid
}
