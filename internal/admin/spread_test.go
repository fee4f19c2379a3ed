package admin

import (
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// TestBehind: waited for is who is online and a member, and has an older document.
func TestBehind(t *testing.T) {
	doc := &ring.Document{Epoch: 5, Members: []ring.Member{{JID: "a", Store: "s1"}, {JID: "b", Store: "s2"}, {JID: "c", Store: "s3"}, {JID: "d", Store: "s4"}}}
	view := func(jid, store string, epoch uint64, online bool) NodeView {
		return NodeView{JID: jid, Online: online, Health: wire.Health{Store: store, Epoch: epoch}}
	}
	got := behindOf(doc, []NodeView{
		view("a", "s1", 4, true),
		view("b", "s2", 6, true),
		view("c", "s3", 4, false),
		view("d", "other disk", 4, true),
		view("e", "s5", 0, true),
	})
	if want := []string{"a"}; !slices.Equal(got, want) {
		t.Errorf("behind are %q, want %q", got, want)
	}
}
