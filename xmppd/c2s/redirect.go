package c2s

import (
	"strconv"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

// Redirection sends clients to other servers of the cluster, which had better serve them. Its methods are
// safe for concurrent use.
type Redirection interface {
	// Name is what this server is called; it is offered to clients.
	Name() string
	// Offer reports whether there is another server for clients; direct ones begin with TLS.
	Offer(direct bool) bool
	// All reports whether clients are sent away, too, that have not said that they can follow.
	All() bool
	// Place returns the address that a client is sent to, host:port, or "" if it stays. Settled is
	// called for one that stays, when it has bound a resource or its stream has ended.
	Place(zone string, hops int, direct bool) (addr string)
	Settled(from string, bound bool)
}

// nsRedirect is the stream feature by which clients say that they can follow a redirect: most of
// those that are in use can't, or go no further than telling their user.
const nsRedirect = "urn:rosterdb:redirect:0"

// placed is what is known of a client's redirection.
type placed struct {
	done bool   // it was decided on
	from string // the server that had sent the client here
}

// redirects reports whether the stream is one that can be sent away: what browsers use has other ways.
func (n *negotiation) redirects() bool {
	r := n.srv.cfg.Redirection
	return r != nil && n.tcp != nil && !n.placed.done && r.Offer(n.tcp.direct)
}

// redirectFeature is offered before login, and where nobody between reads along (RFC 6120 section 4.9.3.19).
func (n *negotiation) redirectFeature(out []byte) []byte {
	if !n.redirects() {
		return out
	}
	out = append(out, "<redirect xmlns='"+nsRedirect+"'"...)
	return append(stanza.AppendAttr(out, "server", n.srv.cfg.Redirection.Name()), "/>"...)
}

// redirect serves a client that can follow.
func (n *negotiation) redirect(raw []byte) error {
	p := stanza.Parse(raw)
	p.Next()
	attr := func(name string) string {
		value, _ := p.Attr(name)
		return string(value)
	}
	hops, err := strconv.Atoi(attr("hops"))
	if err != nil || hops < 0 {
		hops = 0
	}
	if n.srv.cfg.Redirection != nil && n.tcp != nil {
		if err := n.place(attr("zone"), hops, attr("from")); err != nil {
			return err
		}
	}
	return n.write([]byte("<stay xmlns='" + nsRedirect + "'/>"))
}

// place sends the client to another server, if there is a better one; the error does it.
func (n *negotiation) place(zone string, hops int, from string) error {
	if n.placed.done {
		return nil
	}
	addr := n.srv.cfg.Redirection.Place(zone, hops, n.tcp.direct)
	if addr == "" {
		n.placed = placed{done: true, from: from}
		return nil
	}
	return &router.StreamError{Condition: "see-other-host", Host: addr}
}

// settled tells the outcome of a client that stayed.
func (n *negotiation) settled(bound bool) {
	if n.placed.done {
		n.srv.cfg.Redirection.Settled(n.placed.from, bound)
	}
}
