package datanode

import (
	"context"
	"errors"
	"testing"

	"github.com/rosterdb/rosterdb/ring"
)

// TestWaitingNodeLooks: whose word a node without a ring takes, and for what.
func TestWaitingNodeLooks(t *testing.T) {
	from := testMember(2).JID
	ringOf := func(epoch uint64, edit func(*ring.Document)) *ring.Document {
		d := testRing(t)
		d.Epoch = epoch
		if edit != nil {
			edit(d)
		}
		return d
	}
	for _, c := range []struct {
		name     string
		doc      *ring.Document
		contacts []string
		joins    bool
		stranger bool
	}{
		{"named", ringOf(2, nil), []string{"dn2@localhost"}, true, false},
		{"a first document comes from an operator", ringOf(1, nil), []string{"dn2@localhost"}, false, false},
		{"not in the roster", ringOf(2, nil), []string{"dn3@localhost"}, false, false},
		{"no roster", ringOf(2, nil), nil, false, false},
		{"another disk", ringOf(2, func(d *ring.Document) { d.Members[0].Store = testMember(9).Store }), []string{"dn2@localhost"}, false, true},
		{"from no member", ringOf(2, func(d *ring.Document) { d.Members[1].JID = testMember(9).JID }), []string{"dn2@localhost"}, false, false},
		{"another node", ringOf(2, func(d *ring.Document) { d.Members[0].JID = testMember(9).JID }), []string{"dn2@localhost"}, false, false},
	} {
		n, _, _ := testNode(t)
		n.view.Store(nil)
		n.fetch = func(_ context.Context, jid string) (*ring.Document, error) {
			if jid != from {
				return nil, errors.New("nobody is there")
			}
			return c.doc, nil
		}
		n.contacts = func(context.Context) ([]string, error) {
			if c.contacts == nil {
				return nil, errors.New("no answer")
			}
			return c.contacts, nil
		}
		n.lookAround(t.Context())
		for len(n.tasks) > 0 {
			(<-n.tasks)(t.Context())
		}
		if joined := n.view.Load() != nil; joined != c.joins || (n.stranger.Load() != nil) != c.stranger {
			t.Errorf("%s: joined %v, stranger %v", c.name, joined, n.stranger.Load() != nil)
		}
	}
}
