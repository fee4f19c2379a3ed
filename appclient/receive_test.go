package appclient

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// offline returns a client without a stream, with one write and one read under
// way at a known node.
func offline(t testing.TB) (h handler, write, read *call) {
	cfg := Config{JID: "app@localhost"}.withDefaults()
	c := &Client{cfg: cfg, stale: make(chan struct{}, 1), known: make(chan int, 1), ready: make(chan struct{})}
	h = c.handler(0, 1<<20)
	c.engine = newEngine(&cfg, func() {}, func() {}, func() {})
	doc, err := ring.New([]ring.Member{{ID: 1, JID: "dn1@localhost/store", Store: "00000000-0000-4000-8000-000000000001", State: ring.Active}},
		ring.Options{Cluster: "00000000-0000-4000-8000-0000000000ff", Partitions: 1, Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	c.streams[0].roster.begin("app@localhost/a")
	c.engine.prefix = "r"
	c.engine.connected(0)
	if err := c.engine.install(doc); err != nil {
		t.Fatal(err)
	}
	c.engine.available(0, "dn1@localhost/store", &wire.Health{State: "ok", Epoch: 1})
	p := c.engine.parts[0]
	p.session = newSession(7)
	write, read = c.engine.pool.Get().(*call), c.engine.pool.Get().(*call)
	write.kind, write.part = writeCall, p
	write.write.Root = "r"
	write.setMutations([]Mutation{Put("p", []byte("v"))})
	read.kind, read.part, read.read = readCall, p, op.Read{Kind: op.Get, Root: "r", Path: "p"}
	c.engine.admit(write)
	c.engine.admit(read)
	c.engine.fill(nil, &c.streams[0].out, 0)
	if write.state != waitAnswer || read.state != waitAnswer {
		t.Fatal("the calls were not sent")
	}
	return h, write, read
}

// FuzzReceive throws stanzas at a client: it must not panic, and a call must
// not end with a result that makes no sense.
func FuzzReceive(f *testing.F) {
	for _, s := range []string{
		`<message from='dn1@localhost/store'><received xmlns='urn:xmpp:receipts' id='r1'/><results xmlns='urn:rosterdb:store:1' epoch='1'><done tag='1' code='ok' revision='1'><item code='ok' version='1'/></done></results></message>`,
		`<message from='dn1@localhost/store'><results xmlns='urn:rosterdb:store:1' epoch='9'><done tag='1' code='redirect' leader='dn2@localhost/store'/></results></message>`,
		`<message from='dn1@localhost/store'><results xmlns='urn:rosterdb:store:1' epoch='1'><done tag='1' code='session-expired'/><done tag='1' code='ok'/></results></message>`,
		`<message from='dn1@localhost/store'><delay xmlns='urn:xmpp:delay'/><results xmlns='urn:rosterdb:store:1' epoch='1'><done tag='1' code='ok'/></results></message>`,
		`<message from='dn1@localhost/store' type='error' id='r1'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>`,
		`<iq type='result' from='dn1@localhost/store' id='r2'><results xmlns='urn:rosterdb:store:1' epoch='1'><read tag='2' code='ok'><object path='p' version='1' size='1'><v>dg==</v></object></read></results></iq>`,
		`<iq type='result' from='dn1@localhost/store' id='r3'><terms xmlns='urn:rosterdb:store:1' member='1'>7 0</terms></iq>`,
		`<iq type='result' from='dn1@localhost/store' id='r2'><results xmlns='urn:rosterdb:store:1' epoch='1'><read tag='2' code='ok' term='7'><object path='p' version='1' size='1'><v>dg==</v></object></read></results></iq>`,
		`<iq type='result' id='roster'><query xmlns='jabber:iq:roster'><item jid='dn1@localhost' subscription='both'/></query></iq>`,
		`<iq type='error' from='dn1@localhost/store' id='r2'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`,
		`<presence from='dn1@localhost/store' type='unavailable'/>`,
		`<presence from='dn2@localhost/store'><health xmlns='urn:rosterdb:health:1' member='2'/></presence>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, write, read := offline(t)
		scanner := stanza.NewScanner(stanza.Limits{})
		for len(in) > 0 {
			st, n, err := scanner.Next(in)
			if err != nil || n == 0 {
				break
			}
			in = in[n:]
			if st != nil && st.Kind != stanza.StreamEnd && !(st.Kind == stanza.IQ && string(st.Get(st.Type.Value)) == "set") {
				h.Stanza(nil, st)
			}
		}
		for _, c := range []*call{write, read} {
			if c.state == finished && c.err == nil && c.wres.Code == 0 && c.rres.Code == 0 {
				t.Error("a call ended with neither error nor result")
			}
		}
	})
}

// TestOldAnswersAreDropped shows that what was stored on its way counts for
// nothing (XEP-0203), and that the same without the stamp counts.
func TestOldAnswersAreDropped(t *testing.T) {
	h, write, _ := offline(t)
	give := func(delay string) {
		s := `<message from='dn1@localhost/store'><received xmlns='urn:xmpp:receipts' id='r1'/><results xmlns='urn:rosterdb:store:1' epoch='1'><done tag='1' code='ok' revision='1'><item code='ok' version='1'/></done></results>` + delay + `</message>`
		st, _, err := stanza.NewScanner(stanza.Limits{}).Next([]byte(s))
		if err != nil || st == nil {
			t.Fatal(err)
		}
		h.Stanza(nil, st)
	}
	give(`<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>`)
	if write.state == finished {
		t.Error("a delayed answer was taken")
	}
	give("")
	if write.state != finished || write.err != nil {
		t.Error("the answer was not taken")
	}
}

// TestStrangersAreNoDataNodes shows that health in the presence of somebody who
// is not in the roster counts for nothing until he is.
func TestStrangersAreNoDataNodes(t *testing.T) {
	h, _, _ := offline(t)
	give := func(s string) {
		st, _, err := stanza.NewScanner(stanza.Limits{}).Next([]byte(s))
		if err != nil || st == nil {
			t.Fatal(err)
		}
		h.Stanza(nil, st)
	}
	known := func() bool { return h.engine.nodes["eve@localhost/store"] != nil }
	give(`<presence from='eve@localhost/store'>` + string(wire.AppendHealth(nil, &wire.Health{Member: 9, State: "ok", Epoch: 99, Store: "s", Cluster: "c"})) + `</presence>`)
	if known() {
		t.Error("a stranger was taken for a data node")
	}
	give(`<iq type='result' id='roster' from='eve@localhost/store'><query xmlns='jabber:iq:roster'><item jid='eve@localhost' subscription='both'/></query></iq>`)
	if known() {
		t.Error("a stranger wrote our roster")
	}
	give(`<iq type='result' id='roster'><query xmlns='jabber:iq:roster'><item jid='eve@localhost' subscription='both'/></query></iq>`)
	if !known() {
		t.Error("presence that came before the roster was lost")
	}
	give(`<iq type='result' id='roster'><query xmlns='jabber:iq:roster'><item jid='dn1@localhost' subscription='both'><group>Data nodes</group></item></query></iq>`)
	give(`<iq type='result' id='roster'><query xmlns='jabber:iq:roster'><item jid='mallory@localhost' subscription='both'><group>Applications</group></item></query></iq>`)
	give(`<presence from='mallory@localhost/store'>` + string(wire.AppendHealth(nil, &wire.Health{Member: 9, State: "ok", Epoch: 99, Store: "s", Cluster: "c"})) + `</presence>`)
	if h.engine.nodes["mallory@localhost/store"] != nil {
		t.Error("another application was taken for a data node")
	}
}

// TestSizeIsAnUpperBound holds requests under the server's limit on a stanza:
// over it the server ends the stream.
func TestSizeIsAnUpperBound(t *testing.T) {
	name := rapid.StringOfN(rapid.SampledFrom([]rune("ab&<>'\"é€")), 1, 200, -1)
	rapid.Check(t, func(rt *rapid.T) {
		w := &call{kind: writeCall, part: &partition{id: math.MaxUint32 - 1}, ses: newSession(1)}
		w.write = op.Write{Root: name.Draw(rt, "root"), Session: math.MaxUint64, Seq: math.MaxUint64, Floor: math.MaxUint64}
		for range rapid.IntRange(1, 5).Draw(rt, "mutations") {
			m := op.Mutation{Kind: op.Put, Path: name.Draw(rt, "path"), Value: make([]byte, rapid.IntRange(0, 50).Draw(rt, "size")), Cond: op.Condition{Kind: op.VersionIs, Version: math.MaxUint64}}
			for range rapid.IntRange(0, 3).Draw(rt, "refs") {
				m.Refs = append(m.Refs, op.Ref{Root: name.Draw(rt, "ref"), Path: name.Draw(rt, "ref path")})
			}
			w.write.Mutations = append(w.write.Mutations, m)
		}
		g := &call{kind: readCall, part: w.part, read: op.Read{Kind: op.Get, Root: name.Draw(rt, "root"), Path: name.Draw(rt, "path"), Offset: math.MaxUint64, Version: math.MaxUint64}}
		l := &call{kind: readCall, part: w.part, read: op.Read{Kind: op.List, Root: name.Draw(rt, "root"), Prefix: name.Draw(rt, "path"), After: name.Draw(rt, "after"), Limit: op.MaxListPage}}
		for _, c := range []*call{w, g, l, {kind: openCall, part: w.part}, {kind: settleCall, part: w.part, settle: op.Settle{Session: math.MaxUint64, Seq: math.MaxUint64}}} {
			var o outgoing
			empty := len(wire.AppendRequest(nil, &o.ops))
			o.add(c, math.MaxUint64)
			if need := len(wire.AppendRequest(nil, &o.ops)) - empty; need > c.size() {
				rt.Errorf("kind %d needs %d bytes, size says %d", c.kind, need, c.size())
			}
		}
	})
}
