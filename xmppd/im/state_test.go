package im

import (
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/account"
)

// state writes an item as RFC 6121 appendix A names it.
func state(it *account.Item) string {
	s := map[account.Subscription]string{account.SubNone: "None", account.SubTo: "To", account.SubFrom: "From", account.SubBoth: "Both"}[it.Subscription]
	switch {
	case it.Ask && it.Request != nil:
		return s + " + Pending Out+In"
	case it.Ask:
		return s + " + Pending Out"
	case it.Request != nil:
		return s + " + Pending In"
	}
	return s
}

func itemIn(s string) *account.Item {
	for _, sub := range []account.Subscription{account.SubNone, account.SubTo, account.SubFrom, account.SubBoth} {
		for _, ask := range []bool{false, true} {
			for _, req := range [][]byte{nil, []byte("x")} {
				if it := (&account.Item{Subscription: sub, Ask: ask, Request: req}); state(it) == s {
					return it
				}
			}
		}
	}
	panic(s)
}

// TestTransitions is RFC 6121 appendix A, tables 2 to 9: whether the stanza goes on, and the new
// state.
func TestTransitions(t *testing.T) {
	const none, noneOut, noneIn, noneOutIn = "None", "None + Pending Out", "None + Pending In", "None + Pending Out+In"
	const to, toIn, from, fromOut, both = "To", "To + Pending In", "From", "From + Pending Out", "Both"
	all := []string{none, noneOut, noneIn, noneOutIn, to, toIn, from, fromOut, both}
	tables := []struct {
		name   string
		inward bool
		verb   verb
		passes []string          // states in which the stanza is routed or delivered
		next   map[string]string // states that change
	}{
		{"A.2.1", false, subscribe, all, map[string]string{none: noneOut, noneIn: noneOutIn, from: fromOut}},
		{"A.2.2", false, unsubscribe, all, map[string]string{noneOut: none, noneOutIn: noneIn, to: none, toIn: noneIn, fromOut: from, both: from}},
		{"A.2.3", false, subscribed, []string{noneIn, noneOutIn, toIn}, map[string]string{noneIn: from, noneOutIn: fromOut, toIn: both}},
		{"A.2.4", false, unsubscribed, []string{noneIn, noneOutIn, toIn, from, fromOut, both}, map[string]string{noneIn: none, noneOutIn: noneOut, toIn: to, from: none, fromOut: noneOut, both: to}},
		{"A.3.1", true, subscribe, []string{none, noneOut, to}, map[string]string{none: noneIn, noneOut: noneOutIn, to: toIn}},
		{"A.3.2", true, unsubscribe, []string{noneIn, noneOutIn, toIn, from, fromOut, both}, map[string]string{noneIn: none, noneOutIn: noneOut, toIn: to, from: none, fromOut: noneOut, both: to}},
		{"A.3.3", true, subscribed, []string{noneOut, noneOutIn, fromOut}, map[string]string{noneOut: to, noneOutIn: toIn, fromOut: both}},
		{"A.3.4", true, unsubscribed, []string{noneOut, noneOutIn, to, toIn, fromOut, both}, map[string]string{noneOut: none, noneOutIn: noneIn, to: none, toIn: noneIn, fromOut: from, both: from}},
	}
	for _, table := range tables {
		for _, s := range all {
			t.Run(table.name+"/"+string(table.verb)+"/"+s, func(t *testing.T) {
				it := itemIn(s)
				var o outcome
				if table.inward {
					o = inbound(it, table.verb, []byte("x"))
				} else {
					o = outbound(it, table.verb)
				}
				want, moves := table.next[s]
				if !moves {
					want = s
				}
				if table.verb == subscribed && !table.inward && !moves && !it.From() {
					if !it.Approved || !o.changed || !o.push {
						t.Error("the approval is not kept for a request to come (section 3.4.2)")
					}
					moves = true
				}
				if got := state(it); got != want || o.pass != slices.Contains(table.passes, s) {
					t.Errorf("state %q, passes %v; want %q", got, o.pass, want)
				}
				if moves != o.changed {
					t.Errorf("stored: %v, want %v", o.changed, moves)
				}
				if want := table.inward && table.verb == subscribe && it.From(); o.approve != want {
					t.Errorf("approves on behalf of the owner: %v", o.approve)
				}
			})
		}
	}
}

// TestPreApproval is RFC 6121 section 3.4.2 and the notes of appendix A about it: what approval
// ahead of the request does, and what takes it back.
func TestPreApproval(t *testing.T) {
	const none, noneOut, to = "None", "None + Pending Out", "To"
	for s, next := range map[string]string{none: "From", noneOut: "From + Pending Out", to: "Both"} {
		it := itemIn(s)
		if o := outbound(it, subscribed); o.pass || !o.push || !it.Approved || !it.Listed {
			t.Errorf("approval in %q: %+v, item %+v", s, o, it)
		}
		if o := outbound(it, subscribed); o != (outcome{}) {
			t.Errorf("second approval in %q: %+v", s, o)
		}
		asked := *it
		if o := inbound(&asked, subscribe, []byte("x")); !o.approve || o.pass || !o.push || state(&asked) != next {
			t.Errorf("request in %q: %+v, state %q", s, o, state(&asked))
		}
		if o := outbound(&asked, unsubscribed); !o.pass || !o.stop || asked.Approved || state(&asked) != s {
			t.Errorf("cancellation in %q: %+v, item %+v", next, o, asked)
		}
		if o := outbound(it, unsubscribed); o.pass || o.stop || !o.push || it.Approved || state(it) != s {
			t.Errorf("approval taken back in %q: %+v, item %+v", s, o, it)
		}
	}
}
