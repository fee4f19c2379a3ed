package csi

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// TestFilterModel compares the filter with a list from which the earlier one of two with the same key is
// taken.
func TestFilterModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := New(Config{HeldStanzas: rapid.IntRange(1, 6).Draw(rt, "max"), HeldBytes: rapid.IntRange(100, 2000).Draw(rt, "bytes")}, nil)
		f := &filter{m: m, latest: map[string]int{}}
		var model, out, want []string
		from := map[string]string{}
		drain := func() {
			f.Drain(func(raw []byte) { out = append(out, string(raw)) })
			want = append(want, model...)
			model = nil
		}
		for i := range rapid.IntRange(1, 80).Draw(rt, "stanzas") {
			sender := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "from")
			raw := rapid.SampledFrom([]string{
				"<presence from='%s' id='%d'/>", "<presence type='unavailable' from='%s' id='%d'/>",
				"<message from='%s' id='%d'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
				"<message from='%s' id='%d'><event xmlns='http://jabber.org/protocol/pubsub#event'/></message>",
				"<message from='%s' id='%d'><body/></message>", "<presence from='%s' type='subscribe' id='%d'/>",
			}).Draw(rt, "stanza")
			raw = fmt.Sprintf(raw, sender, i)
			from[raw] = sender
			key, held := m.unimportant([]byte(raw))
			if f.Hold([]byte(raw)) {
				if !held {
					rt.Fatalf("%s is held", raw)
				}
				model = slices.DeleteFunc(model, func(s string) bool {
					k, _ := m.unimportant([]byte(s))
					return key != "" && k == key
				})
				model = append(model, raw)
			} else {
				drain()
				out, want = append(out, raw), append(want, raw)
			}
			size := 0
			for _, s := range model {
				size += len(s)
			}
			if f.count != len(model) || f.bytes != size || f.count > m.cfg.HeldStanzas || f.bytes > m.cfg.HeldBytes || len(f.held) > 2*m.cfg.HeldStanzas {
				rt.Fatalf("holds %d stanzas in %d places, %d bytes; want %d, %d", f.count, len(f.held), f.bytes, len(model), size)
			}
		}
		drain()
		if !slices.Equal(out, want) {
			rt.Fatalf("got %q, want %q", out, want)
		}
	})
}

// FuzzUnimportant: whatever is asked about, a stanza that is important to somebody is never held.
func FuzzUnimportant(f *testing.F) {
	f.Add([]byte("<message><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>x</body></message></forwarded></received></message>"))
	f.Add([]byte("<message type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'/><body/></message>"))
	f.Add([]byte("<message><thread/><active xmlns='http://jabber.org/protocol/chatstates'/></message>"))
	f.Add([]byte("<presence/>"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		st, err := stanza.One(raw)
		if err != nil {
			return
		}
		_, held := New(Config{}, nil).unimportant(raw)
		if held && st.Kind == stanza.Message && (st.ChildIs("", "body") || st.ChildIs(stanza.NSClient, "body") || st.IsType("error")) {
			t.Errorf("held: %s", raw)
		}
	})
}
