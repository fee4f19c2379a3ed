package admin

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/ring"
)

// TestProposal: who is asked, and what is made of the answers; a lost answer is
// neither told as a success nor as a failure before that is known.
func TestProposal(t *testing.T) {
	told := func(outcome string) answer {
		return answer{p: adminxml.Proposed{Outcome: outcome, Text: "why", Epoch: 9}}
	}
	redirect := answer{p: adminxml.Proposed{Outcome: adminxml.OutcomeUnavailable, Leader: "dn3@d/store"}}
	lost, gone := answer{err: errors.New("no answer")}, answer{err: &xmppconn.StanzaError{Condition: "service-unavailable"}}
	same := func(d *ring.Document) *ring.Document { return d }
	other := func(d *ring.Document) *ring.Document {
		o := *d
		o.Access = []ring.Grant{{Account: "a@b"}}
		return &o
	}
	for _, c := range []struct {
		name    string
		answers []answer
		ring    func(next *ring.Document) *ring.Document
		want    error
		asked   []string // the first ones
	}{
		{"taken", []answer{told("ok")}, nil, nil, []string{"dn1@d/store"}},
		{"taken by the leader", []answer{redirect, told("ok")}, nil, nil, []string{"dn1@d/store", "dn3@d/store"}},
		{"first one down", []answer{gone, told("ok")}, nil, nil, []string{"dn1@d/store", "dn2@d/store"}},
		{"changed", []answer{told("conflict")}, nil, ErrRingChanged, nil},
		{"changed, first one down", []answer{gone, told("conflict")}, nil, ErrRingChanged, nil},
		{"refused", []answer{told("invalid")}, nil, ErrRefused, nil},
		{"no operator", []answer{{err: &xmppconn.StanzaError{Condition: "forbidden"}}}, nil, ErrNotOperator, nil},
		{"answer lost, it was taken", []answer{lost, told("conflict")}, same, nil, nil},
		{"answer lost, another was faster", []answer{lost, told("conflict")}, other, ErrRingChanged, nil},
		{"answer lost, the ring went on", []answer{lost, told("conflict")}, (*ring.Document).Next, ErrUnknown, nil},
		{"leadership lost, it was taken", []answer{told("unknown"), told("conflict")}, same, nil, nil},
		{"leadership lost, taken at the second try", []answer{told("unknown"), redirect, told("ok")}, nil, nil, nil},
		{"answer lost, then nobody", []answer{lost, gone}, nil, ErrUnknown, nil},
		{"nobody", []answer{gone, gone}, nil, context.Canceled, nil},
	} {
		d, _ := growing(t)
		next := d.Next()
		b, err := ring.Encode(next)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var asked []string
		p := proposal{next: next, encoded: b}
		p.ringFrom = func(context.Context, uint64) (*ring.Document, error) { return c.ring(next), nil }
		p.ask = func(_ context.Context, jid string) (adminxml.Proposed, error) {
			i := len(asked)
			asked = append(asked, jid)
			if i == len(c.answers) {
				cancel() // nothing else will come
				return adminxml.Proposed{}, &xmppconn.StanzaError{Condition: "service-unavailable"}
			}
			return c.answers[i].p, c.answers[i].err
		}
		err = p.run(ctx)
		cancel()
		if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if len(asked) < len(c.asked) || !slices.Equal(asked[:len(c.asked)], c.asked) {
			t.Errorf("%s: asked %v, want %v", c.name, asked, c.asked)
		}
	}
}

type answer struct {
	p   adminxml.Proposed
	err error
}
