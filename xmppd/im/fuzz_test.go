package im

import (
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// scanned is in as one stanza that a client may send; nil if it is none.
func scanned(in []byte) *stanza.Stanza {
	st, n, err := stanza.NewScanner(stanza.Limits{}).Next(in)
	if err != nil || st == nil || n != len(in) {
		return nil
	}
	return st
}

// FuzzRosterSet: whatever a roster set holds, it is refused with a stanza error or bounded.
func FuzzRosterSet(f *testing.F) {
	for _, seed := range []string{
		"<item jid='a@b'/>", "<item jid='a@b/c' name='n &amp; m'><group>g</group><group>h</group></item>", "<item jid='a@b' subscription='remove'/>",
		"<item/>", "<item jid='@'/>", "<item jid='a@b'><group/></item>", "<item jid='a@b'><group>g</group><group>g</group></item>", "<x><item jid='a@b'/></x>",
		"<item jid='a@b'><item jid='c@d'/></item>", "<item jid='a@b'><group>a<b/>c</group></item>", "<item jid='a@b'><group><![CDATA[<]]></group></item>",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, items []byte) {
		st := scanned(append(append([]byte("<iq type='set' id='1'><query xmlns='jabber:iq:roster'>"), items...), "</query></iq>"...))
		if st == nil {
			return
		}
		c, err := parseSet(&module.IQ{Stanza: st, Set: true})
		if err != nil {
			var se *module.Error
			if !errors.As(err, &se) || se.Condition == "" {
				t.Fatalf("%q: %v is no stanza error", items, err)
			}
			return
		}
		if c.contact.IsZero() || !c.contact.IsBare() || len(c.name) > maxNameLen || len(c.groups) > maxGroupsPer {
			t.Fatalf("%q gave %+v", items, c)
		}
		for i, g := range c.groups {
			if g == "" || len(g) > maxNameLen || i > 0 && g == c.groups[i-1] || !utf8.ValidString(g) {
				t.Fatalf("%q gave the groups %q", items, c.groups)
			}
		}
	})
}

// FuzzPriority: a priority is a number that RFC 6121 section 4.7.2.3 allows, or none at all.
func FuzzPriority(f *testing.F) {
	for _, seed := range []string{"<priority>1</priority>", "<priority> -128 </priority>", "<priority/>", "<priority>1</priority><priority>2</priority>", "<a><priority>9</priority></a>", "<priority>+5</priority>", "<priority>1_0</priority>"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, children []byte) {
		st := scanned(append(append([]byte("<presence>"), children...), "</presence>"...))
		if st == nil {
			return
		}
		if p, ok := priority(st); ok && (p < -128 || p > 127) {
			t.Fatalf("%q has the priority %d", children, p)
		}
	})
}
