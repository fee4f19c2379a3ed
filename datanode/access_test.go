package datanode

import (
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

func grant(account, prefix string, write bool) ring.Grant {
	return ring.Grant{Account: account, Prefix: prefix, Write: write}
}

// do sends one operation and returns the code of its answer.
func do(t *testing.T, jid string, doc *ring.Document, fault bool, o any) op.Code {
	t.Helper()
	code, _ := answer(t, jid, doc, fault, o)
	return code
}

// answer sends one operation and returns the code and the text of its answer.
func answer(t *testing.T, jid string, doc *ring.Document, fault bool, o any) (op.Code, string) {
	t.Helper()
	n, _, h := testNode(t)
	n.faults.NoAccess = fault
	doc.Epoch = 2
	if err := n.publish(doc); err != nil {
		t.Fatal(err)
	}
	r := &wire.Request{Epoch: 2}
	switch o := o.(type) {
	case op.Write:
		o.Session, o.Seq, o.Floor = 5, 1, 1
		r.Writes = []wire.Write{{Tag: 1, Partition: doc.Partition(o.Root), Write: o}}
	case op.Read:
		p := uint32(0)
		if o.Root != "" {
			p = doc.Partition(o.Root)
		}
		r.Reads = []wire.Read{{Tag: 1, Partition: p, Read: o}}
	case wire.Open:
		r.Opens = []wire.Open{{Tag: 1}}
	}
	feed(t, h, from(jid, wire.AppendMessage(nil, "dn1@localhost/store", "m1", true, wire.AppendRequest(nil, r))))
	out := n.answers.clients[0].out
	if len(out.writes) == 1 {
		return out.writes[0].res.Code, out.writes[0].res.Text
	}
	return out.reads[0].res.Code, out.reads[0].res.Text
}

func put(root string) op.Write {
	return op.Write{Root: root, Mutations: []op.Mutation{{Kind: op.Put}}}
}

// TestAccess: each operation is permitted by a grant or denied. The seeded fault
// grants everything.
func TestAccess(t *testing.T) {
	none := []ring.Grant{}
	some := []ring.Grant{
		grant("shop@example.org", "shop/", true), grant("shop@example.org", "shared/", false),
		grant("@partner.example", "public/", false), grant("audit@example.org", "", false),
	}
	get := func(root string) op.Read { return op.Read{Kind: op.Get, Root: root} }
	scan := func(prefix string) op.Read { return op.Read{Kind: op.Scan, Prefix: prefix, FromStart: true} }
	query := func(index string) op.Read { return op.Read{Kind: op.Query, Index: index} }
	cases := []struct {
		name, jid string
		grants    []ring.Grant
		op        any
		want      bool
	}{
		{"no grants: an application writes", "app@localhost/x", none, put("a"), true},
		{"no grants: an application scans all", "app@localhost/x", none, scan(""), true},
		{"no grants: a stranger reads", "who@localhost/x", none, get("a"), false},
		{"no grants: a stranger opens", "who@localhost/x", none, wire.Open{}, false},
		{"no grants: an operator", "operator@localhost/x", none, put("a"), true},
		{"grants: an operator", "operator@localhost/x", some, put("a"), true},
		{"no grants: a member is no application", testMember(2).JID, none, get("a"), false},
		{"grants: an application without one", "app@localhost/x", some, get("shop/1"), false},
		{"grants: own prefix", "shop@example.org/x", some, put("shop/1"), true},
		{"grants: opens", "shop@example.org/x", some, wire.Open{}, true},
		{"grants: the prefix is not a name's middle", "shop@example.org/x", some, put("a/shop/1"), false},
		{"grants: shorter than the prefix", "shop@example.org/x", some, put("shop"), false},
		{"grants: reads what it may not write", "shop@example.org/x", some, get("shared/1"), true},
		{"grants: writes what it may read", "shop@example.org/x", some, put("shared/1"), false},
		{"grants: another's", "shop@example.org/x", some, get("public/1"), false},
		{"grants: a list", "shop@example.org/x", some, op.Read{Kind: op.List, Root: "public/1", FromStart: true}, false},
		{"grants: a domain's account", "me@partner.example/x", some, get("public/1"), true},
		{"grants: a domain's account writes", "me@partner.example/x", some, put("public/1"), false},
		{"grants: who may only read opens no session", "me@partner.example/x", some, wire.Open{}, false},
		{"grants: another domain", "me@xpartner.example/x", some, get("public/1"), false},
		{"grants: scan of the prefix", "shop@example.org/x", some, scan("shop/"), true},
		{"grants: scan within the prefix", "shop@example.org/x", some, scan("shop/4"), true},
		{"grants: scan of more", "shop@example.org/x", some, scan("sho"), false},
		{"grants: scan of all", "shop@example.org/x", some, scan(""), false},
		{"grants: all may be read", "audit@example.org/x", some, scan(""), true},
		{"grants: watch of a root", "shop@example.org/x", some, op.Read{Kind: op.Changes, Root: "public/1"}, false},
		{"grants: watch of all", "shop@example.org/x", some, op.Read{Kind: op.Changes}, false},
		{"grants: query of an index within", "shop@example.org/x", some, query("orders"), true},
		{"grants: query of another index", "shop@example.org/x", some, query("all"), false},
		{"grants: watch of another index", "shop@example.org/x", some, op.Read{Kind: op.Changes, Index: "all"}, false},
	}
	wrong := 0
	for _, fault := range []bool{false, true} {
		for _, c := range cases {
			if fault && c.want {
				continue
			}
			doc := testRing(t)
			doc.Access = c.grants
			doc.LastID = 3
			doc.Indexes = []ring.Index{{Name: "orders", ID: 1, Prefix: "shop/orders/", Field: "n"}, {Name: "all", ID: 2, Field: "n"}}
			watch, ok := c.op.(op.Read)
			if ok && watch.Kind == op.Changes && (c.want || fault) {
				continue // it would wait
			}
			code := do(t, c.jid, doc, fault, c.op)
			if denied := code == op.Denied; denied == c.want {
				if wrong++; !fault {
					t.Errorf("%s: code %d", c.name, code)
				}
			}
		}
	}
	if wrong == 0 {
		t.Error("the seeded fault (everything granted) goes unnoticed")
	}
}

// TestDeniedText: a refusal names the root, or the prefix, that may not be read.
func TestDeniedText(t *testing.T) {
	for want, r := range map[string]op.Read{
		`may not read root "priv/1"`:                    {Kind: op.Get, Root: "priv/1"},
		`may not read all of what begins with "priv/1"`: {Kind: op.Scan, Prefix: "priv/1", FromStart: true},
	} {
		doc := testRing(t)
		doc.Access = []ring.Grant{grant("shop@example.org", "shop/", true)}
		if code, text := answer(t, "shop@example.org/x", doc, false, r); code != op.Denied || !strings.Contains(text, want) {
			t.Errorf("code %d, %q; want %q", code, text, want)
		}
	}
}

// TestQuiet: one line a second, with how many were held back.
func TestQuiet(t *testing.T) {
	var q quiet
	now := time.Unix(1000, 0)
	lines, held := 0, 0
	for range 100 {
		if n, ok := q.pass(now, time.Second); ok {
			lines, held = lines+1, held+n
		}
		now = now.Add(100 * time.Millisecond)
	}
	if lines != 10 || held != 81 {
		t.Errorf("%d lines, %d held back; want 10 and 81", lines, held)
	}
}

// TestIndexThatAPartitionDoesNotKnowYet is asked for again; one that the ring does
// not have is not.
func TestIndexThatAPartitionDoesNotKnowYet(t *testing.T) {
	doc := testRing(t)
	doc.Epoch, doc.LastID = 2, 3
	doc.Indexes = []ring.Index{{Name: "new", ID: 2, Field: "n"}}
	n, e, h := testNode(t)
	if err := n.publish(doc); err != nil {
		t.Fatal(err)
	}
	e.read = op.ReadResult{Code: op.NotFound}
	r := &wire.Request{Epoch: 2, Reads: []wire.Read{
		{Tag: 1, Read: op.Read{Kind: op.Query, Index: "new"}},
		{Tag: 2, Read: op.Read{Kind: op.Query, Index: "none"}},
	}}
	feed(t, h, from("app@localhost/x", wire.AppendMessage(nil, "dn1@localhost/store", "m1", true, wire.AppendRequest(nil, r))))
	got := make(map[uint64]op.ReadResult)
	for _, d := range n.answers.clients[0].out.reads {
		got[d.tag] = d.res
	}
	if got[1].Code != op.Unavailable || got[1].RetryAfter == 0 || got[2].Code != op.NotFound {
		t.Errorf("%+v", got)
	}
}

// TestIndexIsTheOneThatWasChecked: the engine is asked for the index by its number,
// for a partition may have another one of that name yet, which covers more.
func TestIndexIsTheOneThatWasChecked(t *testing.T) {
	doc := testRing(t)
	doc.Epoch, doc.LastID = 2, 3
	doc.Access = []ring.Grant{grant("shop@example.org", "shop/", false)}
	doc.Indexes = []ring.Index{{Name: "orders", ID: 2, Prefix: "shop/", Field: "n"}}
	n, e, h := testNode(t)
	if err := n.publish(doc); err != nil {
		t.Fatal(err)
	}
	r := &wire.Request{Epoch: 2, Reads: []wire.Read{{Tag: 1, Read: op.Read{Kind: op.Changes, Index: "orders"}}}}
	feed(t, h, from("shop@example.org/x", wire.AppendMessage(nil, "dn1@localhost/store", "m1", true, wire.AppendRequest(nil, r))))
	if len(e.held) != 1 || e.held[0].Read.IndexID != 2 {
		t.Errorf("%+v", e.held)
	}
}

// TestRevokedWatch: events that come after a grant was taken back are not told, but
// by the seeded fault.
func TestRevokedWatch(t *testing.T) {
	for _, c := range []struct {
		fault  bool
		grants []ring.Grant
		want   op.Code
	}{
		{false, []ring.Grant{grant("shop@example.org", "shop/1", false)}, op.OK},
		{false, []ring.Grant{grant("other@example.org", "shop/", false)}, op.Denied},
		{true, []ring.Grant{grant("other@example.org", "shop/", false)}, op.OK},
	} {
		doc := testRing(t)
		doc.Epoch = 2
		doc.Access = []ring.Grant{grant("shop@example.org", "shop/", false)}
		n, e, h := testNode(t)
		n.faults.NoAccess = c.fault
		if err := n.publish(doc); err != nil {
			t.Fatal(err)
		}
		r := &wire.Request{Epoch: 2, Reads: []wire.Read{{Tag: 1, Partition: doc.Partition("shop/1"), Read: op.Read{Kind: op.Changes, Root: "shop/1"}}}}
		feed(t, h, from("shop@example.org/x", wire.AppendMessage(nil, "dn1@localhost/store", "m1", true, wire.AppendRequest(nil, r))))
		later := testRing(t)
		later.Epoch, later.Access = 3, c.grants
		if err := n.publish(later); err != nil {
			t.Fatal(err)
		}
		e.held[0].Done(op.ReadResult{Code: op.OK, Events: []op.Event{{Kind: op.Written, Root: "shop/1"}}})
		out := n.answers.clients[0].out.reads
		if len(out) != 1 || out[0].res.Code != c.want || (c.want == op.Denied) != (len(out[0].res.Events) == 0) {
			t.Errorf("%+v: %+v", c, out)
		}
	}
}

// TestWhoServesNothingDeniesNothing: a node that knows no ring, or is a stranger to the one
// it knew, cannot tell who may do what: its answer sends the client to another node, and
// ends nothing. The seeded fault denies.
func TestWhoServesNothingDeniesNothing(t *testing.T) {
	for _, fault := range []bool{false, true} {
		for name, lose := range map[string]func(n *Node){
			"no ring":  func(n *Node) { n.view.Store(nil) },
			"stranger": func(n *Node) { n.view.Store(nil); n.estrange("its disk was lost", false) },
		} {
			n, e, h := testNode(t)
			n.faults.DeniesBlindly = fault
			lose(n)
			r := &wire.Request{Reads: []wire.Read{{Tag: 1, Read: op.Read{Kind: op.Changes, Prefix: "cart/", Wait: 60_000}}}}
			feed(t, h, from("shop@localhost/x", wire.AppendMessage(nil, "dn1@localhost/store", "m1", true, wire.AppendRequest(nil, r))))
			want := op.Unavailable
			if fault {
				want = op.Denied
			}
			if out := n.answers.clients[0].out; len(e.held) > 0 || len(out.reads) != 1 || out.reads[0].res.Code != want {
				t.Errorf("%s, fault %v: %d reads wait, %+v", name, fault, len(e.held), out.reads)
			}
		}
	}
}
