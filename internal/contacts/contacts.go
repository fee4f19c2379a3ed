// Package contacts reads rosters (RFC 6121 section 2): which contacts of an account are data nodes.
//
// Anybody may send presence to anybody, and applications of one server are often contacts of one another, so
// neither presence with health in it nor a subscription makes a data node. What does is the roster group
// Group, which a server with shared groups stamps on the items (xmppd: the group of the account), and which
// no other account can put there. Where no contact has ever been in any group, as in rosters that people made
// by mutual subscription, all contacts count. (An account is not in its own roster: a store's only data node
// sees the groups of others alone.)
package contacts

import (
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// Group is the roster group of data nodes.
const Group = "Data nodes"

// FromOwn reports whether an IQ about the roster comes from the server on behalf of the account that has
// the full JID: pushes of others count for nothing (RFC 6121 section 2.1.6).
func FromOwn(from, full string) bool {
	bare, _, _ := strings.Cut(full, "/")
	return from == "" || from == bare || from == full
}

// Roster is what is known of one account's roster. The zero value is empty. It is not safe for concurrent use.
type Roster struct {
	items   map[string]bool // of contacts of whom the account gets presence, by bare JID: is it in Group
	nodes   int             // how many are
	grouped bool            // there has been a contact in a group, in whichever
}

// Take takes the items of a roster result or push, a query element of jabber:iq:roster. Items that
// can't be read are passed over.
func (r *Roster) Take(query []byte) {
	p := stanza.Parse(query)
	var it item
	for {
		switch p.Next() {
		case stanza.EOF:
			it.end(r)
			return
		case stanza.Start:
			switch string(p.Name()) {
			case "item":
				it.end(r)
				it.begin(&p)
			case "group":
				it.inGroup, it.group = true, ""
			}
		case stanza.Text:
			if it.inGroup {
				it.group += string(p.Text())
			}
		case stanza.End:
			if it.inGroup && it.group != "" {
				it.grouped = true
			}
			if it.inGroup && it.group == Group {
				it.node = true
			}
			it.inGroup = false
		}
	}
}

// IsNode reports whether a bare JID is a data node's, as far as the roster tells.
func (r *Roster) IsNode(bare string) bool {
	inGroup, contact := r.items[bare]
	return contact && (inGroup || !r.grouped)
}

// Nodes counts them.
func (r *Roster) Nodes() int {
	if r.grouped {
		return r.nodes
	}
	return len(r.items)
}

// List lists them, in no order.
func (r *Roster) List() []string {
	out := make([]string, 0, r.Nodes())
	for bare := range r.items {
		if r.IsNode(bare) {
			out = append(out, bare)
		}
	}
	return out
}

func (r *Roster) set(bare string, contact, node bool) {
	if r.items == nil {
		r.items = make(map[string]bool)
	}
	if r.items[bare] {
		r.nodes--
	}
	delete(r.items, bare)
	if !contact {
		return
	}
	if r.items[bare] = node; node {
		r.nodes++
	}
}

// item is the one that is being read.
type item struct {
	bare          string // empty: none
	contact, node bool
	grouped       bool // it is in some group
	inGroup       bool
	group         string
}

func (it *item) begin(p *stanza.Parser) {
	*it = item{}
	raw, _ := p.Attr("jid")
	j, err := stanza.ParseJID(string(raw))
	if err != nil {
		return
	}
	sub, _ := p.Attr("subscription")
	it.bare, it.contact = j.Bare().String(), string(sub) == "both" || string(sub) == "to"
}

func (it *item) end(r *Roster) {
	if it.bare != "" {
		r.set(it.bare, it.contact, it.node)
		r.grouped = r.grouped || it.contact && it.grouped
	}
}
