package admin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

func give(t *testing.T, n *nodes, raw string) {
	t.Helper()
	st, _, err := stanza.NewScanner(stanza.Limits{}).Next([]byte(raw))
	if err != nil || st == nil {
		t.Fatalf("%s: %v", raw, err)
	}
	n.presence(st)
}

func TestNodesFollowPresence(t *testing.T) {
	n := newNodes()
	n.contacts([]byte(`<query xmlns='jabber:iq:roster'><item jid='dn1@localhost' subscription='both'><group>Data nodes</group></item>` +
		`<item jid='app@localhost' subscription='both'><group>Applications</group></item><item jid='dn2@localhost' subscription='to'><group>Other</group><group>Data nodes</group></item></query>`))
	var names []string
	for _, v := range n.list() {
		names = append(names, v.JID)
		if v.Online {
			t.Errorf("%s is online by roster", v.JID)
		}
	}
	if got := strings.Join(names, " "); got != "dn1@localhost/store dn2@localhost/store" {
		t.Fatalf("data nodes of the roster: %s", got)
	}
	health := string(wire.AppendHealth(nil, &wire.Health{Store: "s", Epoch: 3, State: wire.StateFull, Led: 5}))
	give(t, n, `<presence from='dn2@localhost/store'><show>dnd</show><status>a &lt; b</status>`+health+`</presence>`)
	give(t, n, `<presence from='app@localhost/x'><show>chat</show></presence>`)
	v := n.list()[1]
	if !v.Online || v.Show != "dnd" || v.Text != "a < b" || v.Health.Led != 5 || v.Seen.IsZero() || !n.online("dn2@localhost/store") {
		t.Errorf("%+v", v)
	}
	give(t, n, `<presence from='app@localhost/store'>`+health+`</presence>`)
	give(t, n, `<presence from='stranger@localhost/store'>`+health+`</presence>`)
	if len(n.list()) != 2 || n.online("app@localhost/store") || n.online("stranger@localhost/store") {
		t.Errorf("a contact without health, or who is no data node by the roster, is listed: %+v", n.list())
	}
	for i := range 2 * maxStrangers {
		give(t, n, fmt.Sprintf(`<presence from='stranger@localhost/%d'>%s</presence>`, i, health))
	}
	if len(n.byJID) > maxStrangers+4 {
		t.Errorf("%d strangers are remembered", len(n.byJID))
	}
	give(t, n, `<presence from='stranger@localhost' type='unavailable'/>`)
	if n.strangers != 1 || len(n.byJID) != 3 {
		t.Errorf("%d strangers, %d nodes are remembered after all but one have gone", n.strangers, len(n.byJID))
	}
	large := strings.Replace(health, "/>", " version='"+strings.Repeat("x", 8<<10)+"'/>", 1)
	give(t, n, `<presence from='large@localhost/store'>`+large+`</presence>`)
	give(t, n, `<presence from='late@localhost/store'><status>`+strings.Repeat("y", 8<<10)+`</status>`+health+`</presence>`)
	if late := n.byJID["late@localhost/store"]; n.byJID["large@localhost/store"] != nil || len(late.Text) > 1<<10 {
		t.Errorf("a large health is kept, or a large text: %d bytes", len(late.Text))
	}
	if first := n.newestFirst(); len(first) != 1 || first[0].JID != v.JID {
		t.Errorf("online: %+v", first)
	}
	give(t, n, `<presence from='dn2@localhost' type='unavailable'/>`)
	if v := n.list()[1]; v.Online || v.Health.Led != 5 {
		t.Errorf("gone with its bare JID, last health kept: %+v", v)
	}
	n.members(&ring.Document{Members: []ring.Member{{ID: 4, JID: "dn9@localhost/store"}}})
	if v := n.list()[2]; v.JID != "dn9@localhost/store" || v.Member != 4 || v.Online {
		t.Errorf("a member that was never seen: %+v", v)
	}
}

func TestFirstDocumentIsTheSameForAll(t *testing.T) {
	ids := func(order ...int) []*Identity {
		all := []*Identity{
			{JID: "dn1@localhost/store", Store: "00000000-0000-4000-8000-000000000001"},
			{JID: "dn2@localhost/store", Store: "00000000-0000-4000-8000-000000000002", Zone: "z"},
			{JID: "dn10@localhost/store", Store: "00000000-0000-4000-8000-000000000003"},
		}
		var out []*Identity
		for _, i := range order {
			out = append(out, all[i])
		}
		return out
	}
	encode := func(opt BootstrapOptions, order ...int) string {
		doc, err := firstDocument(ids(order...), opt)
		if err != nil {
			t.Fatal(err)
		}
		if doc.Members[2].JID != "dn10@localhost/store" {
			t.Errorf("members: %+v", doc.Members)
		}
		b, err := ring.Encode(doc)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if encode(BootstrapOptions{}, 0, 1, 2) != encode(BootstrapOptions{}, 2, 0, 1) {
		t.Error("two operators would make two clusters")
	}
	if encode(BootstrapOptions{}, 0, 1, 2) == encode(BootstrapOptions{Partitions: 9}, 0, 1, 2) {
		t.Error("options do not count")
	}
	if !majority([]uint64{1, 2, 3}, []uint64{3, 1, 9}) || majority([]uint64{1, 2, 3}, []uint64{3, 8, 9}) {
		t.Error("majority")
	}
}
