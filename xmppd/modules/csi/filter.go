package csi

import (
	"bytes"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// filter holds what is not important enough for one client. The lock of the session's queue guards
// it (session.Filter).
type filter struct {
	m      *Module
	held   [][]byte       // nil where a later one has taken the place
	latest map[string]int // what is replaced by the next of the same key, as an index of held
	count  int            // of held that are not nil
	bytes  int
}

// Hold implements session.Filter.
func (f *filter) Hold(raw []byte) bool {
	key, ok := f.m.unimportant(raw)
	count, size := 1, len(raw)
	old, again := f.latest[key]
	if again {
		count, size = 0, size-len(f.held[old])
	}
	if !ok || f.count+count > f.m.cfg.HeldStanzas || f.bytes+size > f.m.cfg.HeldBytes {
		return false
	}
	if again {
		f.held[old] = nil
		f.m.replaced.Inc()
	}
	if len(f.held) >= 2*f.m.cfg.HeldStanzas {
		f.compact()
	}
	if key != "" {
		f.latest[key] = len(f.held)
	}
	f.held = append(f.held, bytes.Clone(raw))
	f.count += count
	f.bytes += size
	f.m.held.Inc()
	return true
}

// compact closes the gaps in held.
func (f *filter) compact() {
	at := make(map[int]int, f.count)
	kept := f.held[:0]
	for i, raw := range f.held {
		if raw != nil {
			at[i] = len(kept)
			kept = append(kept, raw)
		}
	}
	clear(f.held[len(kept):])
	f.held = kept
	for key, i := range f.latest {
		f.latest[key] = at[i]
	}
}

// Drain implements session.Filter.
func (f *filter) Drain(put func([]byte)) {
	for _, raw := range f.held {
		if raw != nil {
			put(raw)
		}
	}
	f.held, f.count, f.bytes = nil, 0, 0
	clear(f.latest)
}

// unimportant reports whether a stanza can wait, and the key of those that it replaces, "" for none.
func (m *Module) unimportant(raw []byte) (key string, ok bool) {
	scan, pooled := m.scanners.Get().(*stanza.Scanner)
	if !pooled {
		scan = stanza.NewScanner(stanza.Unlimited())
	}
	st, _, err := scan.Next(raw)
	if err != nil || st == nil {
		return "", false
	}
	defer m.scanners.Put(scan) // of use again only after a whole element
	switch st.Kind {
	case stanza.Presence:
		if st.Type.Present() && !st.IsType("unavailable") {
			return "", false
		}
		return "p" + st.AttrString(st.From), true
	case stanza.Message:
		p := stanza.Parse(raw)
		p.Next()
		typing, ok := idle(&p, 0)
		if typing && ok {
			return "t" + st.AttrString(st.From), true
		}
		return "", ok
	case stanza.IQ, stanza.Nonza, stanza.StreamEnd:
	}
	return "", false
}

// idle looks at a message whose start p has just read: ok if nobody waits for it, typing if it
// only says what somebody's hands do. Of copies of messages (XEP-0280) what is in them counts.
func idle(p *stanza.Parser, nested int) (typing, ok bool) {
	typ, _ := p.Attr("type")
	headline, others, inside := string(typ) == "headline", 0, p.Depth()
	if string(typ) == "error" {
		return false, false
	}
	for ev := p.Next(); ev != stanza.EOF && p.Depth() >= inside; ev = p.Next() {
		if ev != stanza.Start {
			continue
		}
		switch ns, name := string(p.NS()), string(p.Name()); {
		case p.Depth() > inside+1 && name == "message" && nested == 0 && ns == stanza.NSClient:
			if _, ok := idle(p, 1); !ok {
				return false, false
			}
			others++
		case p.Depth() != inside+1:
		case ns == "http://jabber.org/protocol/chatstates":
			typing = true
		case ns == "http://jabber.org/protocol/pubsub#event", headline && name != "body":
			others++
		case harmless(ns, name):
		case ns == "urn:xmpp:carbons:2" && nested == 0:
		default:
			return false, false // a text, or something that somebody may wait for
		}
	}
	return typing && others == 0, typing || others > 0
}

// harmless are elements that go with others and mean nothing by themselves.
func harmless(ns, name string) bool {
	switch ns {
	case "urn:xmpp:hints", "urn:xmpp:sid:0", "urn:xmpp:delay", "urn:xmpp:forward:0":
		return true
	}
	return (ns == "" || ns == stanza.NSClient) && name == "thread"
}
