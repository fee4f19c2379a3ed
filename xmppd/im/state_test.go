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
// state. Pre-approval (subscribed without a request) is not offered.
func TestTransitions(t *testing.T) {
	const none, noneOut, noneIn, noneOutIn = "None", "None + Pending Out", "None + Pending In", "None + Pending Out+In"
	const to, toIn, from, fromOut, both = "To", "To + Pending In", "From", "From + Pending Out", "Both"
	all := []string{none, noneOut, noneIn, noneOutIn, to, toIn, from, fromOut, both}
	type row struct {
		passes []string // states in which the stanza passes
		next   map[string]string
	}
	out := map[verb]row{
		subscribe:    {all, map[string]string{none: noneOut, noneIn: noneOutIn, from: fromOut}},
		unsubscribe:  {all, map[string]string{noneOut: none, noneOutIn: noneIn, to: none, toIn: noneIn, fromOut: from, both: from}},
		subscribed:   {[]string{noneIn, noneOutIn, toIn}, map[string]string{noneIn: from, noneOutIn: fromOut, toIn: both}},
		unsubscribed: {[]string{noneIn, noneOutIn, toIn, from, fromOut, both}, map[string]string{noneIn: none, noneOutIn: noneOut, toIn: to, from: none, fromOut: noneOut, both: to}},
	}
	in := map[verb]row{
		subscribe:    {[]string{none, noneOut, noneIn, noneOutIn, to, toIn}, map[string]string{none: noneIn, noneOut: noneOutIn, to: toIn}},
		unsubscribe:  {[]string{noneIn, noneOutIn, toIn, from, fromOut, both}, map[string]string{noneIn: none, noneOutIn: noneOut, toIn: to, from: none, fromOut: noneOut, both: to}},
		subscribed:   {[]string{noneOut, noneOutIn, fromOut}, map[string]string{noneOut: to, noneOutIn: toIn, fromOut: both}},
		unsubscribed: {[]string{noneOut, noneOutIn, to, toIn, fromOut, both}, map[string]string{noneOut: none, noneOutIn: noneIn, to: none, toIn: noneIn, fromOut: from, both: from}},
	}
	for _, s := range all {
		for v, r := range out {
			it := itemIn(s)
			o := outbound(it, v)
			check(t, "outbound", v, s, o, it, slices.Contains(r.passes, s), r.next)
		}
		for v, r := range in {
			it := itemIn(s)
			o := inbound(it, v, []byte("x"))
			check(t, "inbound", v, s, o, it, slices.Contains(r.passes, s), r.next)
			if o.approve != (v == subscribe && (s == from || s == fromOut || s == both)) {
				t.Errorf("inbound %s in %q: approves %v", v, s, o.approve)
			}
		}
	}
}

func check(t *testing.T, dir string, v verb, s string, o outcome, it *account.Item, pass bool, next map[string]string) {
	t.Helper()
	want, moves := next[s]
	if !moves {
		want = s
	}
	if got := state(it); got != want || o.pass != pass {
		t.Errorf("%s %s in %q: state %q, passes %v; want %q, %v", dir, v, s, got, o.pass, want, pass)
	}
	if moves && !o.changed {
		t.Errorf("%s %s in %q: the change is not stored", dir, v, s)
	}
}
