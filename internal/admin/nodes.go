package admin

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/contacts"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// nodeResource is the resource that data nodes bind.
const nodeResource = wire.NodeResource

// maxStrangers bounds what is remembered of senders of health who are no data nodes, or not yet: a
// presence may come before the push of its sender's roster item.
const maxStrangers = 1024

// NodeView is a data node as presence shows it.
type NodeView struct {
	JID    string // full, as the ring knows it
	Online bool
	alien  bool        // no data node yet when it came: see nodes.strangers
	there  [2]bool     // of its two addresses, the second that of its second stream
	Show   string      // away, xa, dnd, chat or empty (RFC 6121 section 4.7.2.1)
	Text   string      // the status text
	Health wire.Health // the last one announced; zero while none was
	Member uint64      // id in the ring; 0: not known to be a member
	Seen   time.Time   // of the last presence; zero: never
}

// nodes collects what is known of data nodes. Who is one is told by the roster and the ring: anybody may
// send presence with health in it.
type nodes struct {
	mu        sync.Mutex
	roster    contacts.Roster
	byJID     map[string]*NodeView // of others, too: trusted tells
	strangers int                  // of those, when they came; forgotten when they go
}

func newNodes() *nodes { return &nodes{byJID: make(map[string]*NodeView)} }

// at returns the view of a full JID, made if new. n.mu is held.
func (n *nodes) at(jid string) *NodeView {
	v := n.byJID[jid]
	if v == nil {
		v = &NodeView{JID: jid}
		n.byJID[jid] = v
	}
	return v
}

// trusted says whether a JID is a data node's: a member of the ring, or one by the roster. n.mu is held.
func (n *nodes) trusted(v *NodeView) bool {
	bare, _, _ := strings.Cut(v.JID, "/")
	return v.Member != 0 || n.roster.IsNode(bare)
}

func (n *nodes) list() []NodeView {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]NodeView, 0, len(n.byJID))
	for _, v := range n.byJID {
		if n.trusted(v) {
			out = append(out, *v)
		}
	}
	slices.SortFunc(out, func(a, b NodeView) int { return cmp.Compare(a.JID, b.JID) })
	return out
}

// newestFirst lists the nodes online, those with the newest ring first.
func (n *nodes) newestFirst() []NodeView {
	out := slices.DeleteFunc(n.list(), func(v NodeView) bool { return !v.Online })
	slices.SortStableFunc(out, func(a, b NodeView) int { return cmp.Compare(b.Health.Epoch, a.Health.Epoch) })
	return out
}

func (n *nodes) online(jid string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.byJID[jid]
	return v != nil && v.Online && n.trusted(v)
}

// lacking is what is to be done for a member whose replicas cannot be had, as
// presence shows it; "" where they can.
func (n *nodes) lacking(doc *ring.Document, m ring.Member) string {
	node, _, _ := strings.Cut(m.JID, "@")
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.byJID[m.JID]
	holder, _ := doc.ByJID(m.JID)
	switch {
	case holder.ID != m.ID: // its disk is lost, and its successor has the JID
		return node + " is being replaced: wait until `ringctl progress` says that it is done"
	case v == nil || !v.Online:
		return "start " + node
	case v.Health.State == wire.StateStranger, v.Health.Store != "" && m.Store != "" && v.Health.Store != m.Store:
		return node + " is a stranger: `ringctl replace " + node + " " + node + "`, or put its old disk back"
	}
	return ""
}

// incomparable is lacking, and what is to be done for a member that answers but cannot compare its replicas with others'.
func (n *nodes) incomparable(doc *ring.Document, m ring.Member) string {
	if do := n.lacking(doc, m); do != "" {
		return do
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byJID[m.JID].Health.State != wire.StateMixed {
		return ""
	}
	node, _, _ := strings.Cut(m.JID, "@")
	return node + " cannot read what other data nodes send: run one version on all"
}

// members notes the members of a ring document.
func (n *nodes) members(doc *ring.Document) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, v := range n.byJID {
		v.Member = 0
	}
	for _, m := range doc.Members {
		n.at(m.JID).Member = m.ID
	}
}

func (n *nodes) allDown() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, v := range n.byJID {
		v.Online, v.there = false, [2]bool{}
		n.forget(v)
	}
}

// forget drops a stranger that is not there. n.mu is held.
func (n *nodes) forget(v *NodeView) {
	if v.Online || n.trusted(v) {
		return
	}
	delete(n.byJID, v.JID)
	if v.alien {
		n.strangers--
	}
}

// presence takes one presence stanza.
func (n *nodes) presence(st *stanza.Stanza) {
	from, err := stanza.ParseJID(st.AttrString(st.From))
	if err != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch string(st.Get(st.Type.Value)) {
	case "":
		n.available(from, st)
	case "unavailable", "error":
		for jid, v := range n.byJID {
			// From a bare JID it is for all its resources.
			switch {
			case from.IsBare() && strings.HasPrefix(jid, from.String()+"/"):
				v.there = [2]bool{}
			case jid == wire.NodeJID(from.String()):
				v.there[second(from.String())] = false
			default:
				continue
			}
			v.Online, v.Seen = v.there[0] || v.there[1], time.Now()
			n.forget(v)
		}
	}
}

func (n *nodes) available(from stanza.JID, st *stanza.Stanza) {
	var show, text string
	var health *wire.Health
	p := stanza.Parse(st.Raw)
	p.Next()
	for {
		ev := p.Next()
		if ev == stanza.EOF {
			break
		}
		if ev != stanza.Start {
			continue
		}
		el := p.Element()
		if h, err := wire.ParseHealth(el); err == nil {
			health = h
			continue
		}
		name, content := leaf(el)
		switch name {
		case "show":
			show = content
		case "status":
			text = content
		}
	}
	if health == nil {
		return // a contact, not a data node
	}
	v := n.known(wire.NodeJID(from.String()))
	if v == nil {
		return
	}
	v.there[second(from.String())] = true
	v.Online, v.Show, v.Text, v.Health, v.Seen = true, clipped(show), clipped(text), *health, time.Now()
}

// known returns the view of a full JID that has told its health; nil of a stranger where there are too many.
// n.mu is held.
func (n *nodes) known(jid string) *NodeView {
	if v := n.byJID[jid]; v != nil {
		return v
	}
	v := &NodeView{JID: jid}
	if !n.trusted(v) {
		if n.strangers == maxStrangers {
			return nil
		}
		n.strangers++
		v.alien = true
	}
	n.byJID[jid] = v
	return v
}

// clipped is as much of a text as is kept and shown.
func clipped(text string) string {
	const most = 512 // bytes
	if len(text) <= most {
		return text
	}
	return strings.Clone(strings.ToValidUTF8(text[:most], "")) + "…"
}

// second is the index of a data node's address.
func second(address string) int {
	if wire.NodeJID(address) != address {
		return 1
	}
	return 0
}

// address is where a node can be asked.
func (n *nodes) address(jid string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if v := n.byJID[jid]; v != nil && !v.there[0] && v.there[1] {
		return wire.SecondJID(jid)
	}
	return jid
}

// leaf returns the name and the text of an element.
func leaf(el []byte) (name, text string) {
	p := stanza.Parse(el)
	if p.Next() != stanza.Start {
		return "", ""
	}
	name = string(p.Name())
	for {
		switch p.Next() {
		case stanza.Text:
			text += string(p.Text())
		case stanza.EOF:
			return name, text
		}
	}
}

// contacts takes a roster result or push (RFC 6121 section 2.1). A data node that never came online is listed as down.
func (n *nodes) contacts(query []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.roster.Take(query)
	for _, bare := range n.roster.List() {
		n.at(bare + "/" + nodeResource)
	}
}
