package carbons

import (
	"bytes"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

const nsHints = "urn:xmpp:hints" // XEP-0334

// eligible applies the rules of section 6.1 to a message.
func eligible(st *stanza.Stanza) bool {
	typ := module.MessageType(st)
	if typ == "groupchat" || typ == "headline" {
		return false
	}
	personal := typ == "chat"
	room, invitation := false, false
	p := stanza.Parse(st.Raw)
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start || p.Depth() < 2 {
			continue
		}
		name := string(p.Name())
		switch ns := string(p.NS()); {
		case p.Depth() == 3 && room && name == "invite":
			invitation = true
		case p.Depth() != 2:
		case ns == NS: // a copy itself, or private
			return false
		case ns == nsHints && name == "no-copy":
			return false
		case ns == "http://jabber.org/protocol/muc#user":
			room = true // each client has joined the room by itself
		case (ns == "" || ns == stanza.NSClient) && name == "body", personalPayload(ns):
			personal = true
		}
	}
	return personal && (!room || invitation)
}

// personalPayload reports whether a payload belongs to a conversation though it is no text. Errors
// are copied if they bear such a one, or a text: then they answer something that was copied.
func personalPayload(ns string) bool {
	switch ns {
	case "urn:xmpp:receipts", "http://jabber.org/protocol/chatstates", "urn:xmpp:chat-markers:0", "jabber:x:conference", "urn:xmpp:jingle-message:0":
		return true
	}
	return false
}

// mentions reports whether a message may bear an element of carbons. It is quick.
func mentions(st *stanza.Stanza) bool { return bytes.Contains(st.Raw, []byte(NS)) }

// withoutPrivate puts the hint no-copy in the place of <private/>; ok is false if that isn't there.
func withoutPrivate(raw []byte) (out []byte, ok bool) {
	var cuts []stanza.Span
	hinted := false
	p := stanza.Parse(raw)
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start || p.Depth() != 2 {
			continue
		}
		switch {
		case string(p.NS()) == NS && string(p.Name()) == "private":
			cuts = append(cuts, p.ElementSpan())
		case string(p.NS()) == nsHints && string(p.Name()) == "no-copy":
			hinted = true
		}
	}
	pos := 0
	for _, c := range cuts {
		out = append(out, raw[pos:c.Start]...)
		if !hinted {
			out = append(out, "<no-copy xmlns='"+nsHints+"'/>"...)
			hinted = true
		}
		pos = c.End
	}
	return append(out, raw[pos:]...), len(cuts) > 0
}
