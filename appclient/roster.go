package appclient

import (
	"github.com/rosterdb/rosterdb/internal/contacts"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// roster is who may be taken for a data node: presence of strangers, which
// anybody can send to anybody, counts for nothing, nor does that of other
// applications. It belongs to the stream's reading goroutine.
type roster struct {
	full     string // this client's
	known    bool   // the server answered
	contacts contacts.Roster
	early    map[string]*wire.Health // presence that came before the roster
}

func (r *roster) begin(full string) {
	*r = roster{full: full, early: make(map[string]*wire.Health)}
}

func (r *roster) trusts(jid string) bool {
	j, err := stanza.ParseJID(jid)
	return err == nil && r.contacts.IsNode(j.Bare().String())
}

func (h handler) rosterAnswer(typ string, st *stanza.Stanza) {
	r := &h.roster
	if typ == "error" {
		h.note(xmppconn.ParseError(st))
		return
	}
	r.known = true
	r.contacts.Take(st.Get(st.Child))
	h.counted()
	h.admitEarly()
}

// counted tells Dial how many contacts are data nodes.
func (h handler) counted() {
	select {
	case <-h.known: // an older number
	default:
	}
	select {
	case h.known <- h.roster.contacts.Nodes():
	default: // nobody waits for it
	}
}

func (h handler) rosterPush(c *xmppconn.Conn, st *stanza.Stanza) {
	h.roster.contacts.Take(st.Get(st.Child))
	h.counted()
	if err := c.Send(stanza.AppendIQResult(nil, st, nil)); err != nil {
		h.cfg.Logger.Debug("roster push not answered", "err", err)
	}
	h.admitEarly()
}

// admitEarly takes the presence that came before its sender was known.
func (h handler) admitEarly() {
	r := &h.roster
	for jid, health := range r.early {
		if r.trusts(jid) {
			delete(r.early, jid)
			h.available(jid, health)
		}
	}
}

// maxEarly bounds what strangers can make the client remember.
const maxEarly = 1024

func (h handler) presence(st *stanza.Stanza) {
	from := st.AttrString(st.From)
	switch string(st.Get(st.Type.Value)) {
	case "":
		health := healthOf(st)
		switch {
		case health == nil:
		case h.roster.trusts(from):
			h.available(from, health)
		case len(h.roster.early) < maxEarly:
			h.roster.early[from] = health
		}
	case "unavailable", "error":
		delete(h.roster.early, from)
		h.engine.unavailable(h.index, from)
	}
}

func (h handler) available(jid string, health *wire.Health) {
	h.engine.available(h.index, jid, health)
	h.checkReady()
}

// healthOf returns the health payload of a data node's presence, nil where
// there is none.
func healthOf(st *stanza.Stanza) *wire.Health {
	p := stanza.Parse(st.Raw)
	p.Next()
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start {
			continue
		}
		if string(p.NS()) != nsHealth {
			p.Skip()
			continue
		}
		h, err := wire.ParseHealth(p.Element())
		if err != nil {
			return nil
		}
		return h
	}
	return nil
}
