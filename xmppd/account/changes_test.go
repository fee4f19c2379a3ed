package account_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/xmppd/account"
)

// change sets the name of a contact, or removes it.
func change(t testing.TB, s *account.Store, contact, name string, listed bool) uint64 {
	t.Helper()
	_, err := s.UpdateItem(t.Context(), "bob", contact, func(i *account.Item) bool {
		i.Name, i.Listed = name, listed
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.RosterVersion(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// since writes down what has changed since a version; "?" if that is not known.
func since(t testing.TB, s *account.Store, v uint64) string {
	t.Helper()
	c, known, err := s.RosterSince(t.Context(), "bob", v)
	if err != nil {
		t.Fatal(err)
	}
	if !known {
		return "?"
	}
	out := ""
	for _, it := range c.Items {
		out += it.Contact + "=" + it.Name + " "
	}
	return fmt.Sprint(out, c.Removed)
}

func TestRosterSince(t *testing.T) {
	s := withAccounts(t, "bob")
	if got := since(t, s, 0) + since(t, s, 1); got != "[]?" {
		t.Errorf("a roster that never changed: %s", got)
	}
	v := []uint64{change(t, s, "a@x", "A", true)}
	v = append(v, change(t, s, "b@x", "B", true), change(t, s, "c@x", "C", true), change(t, s, "b@x", "", false), change(t, s, "a@x", "AA", true))
	if !slices.IsSorted(v) || len(slices.Compact(slices.Clone(v))) != len(v) {
		t.Errorf("versions don't grow: %d", v)
	}
	for i, want := range []string{"c@x=C a@x=AA [b@x]", "c@x=C a@x=AA [b@x]", "a@x=AA [b@x]", "a@x=AA []", "[]"} {
		if got := since(t, s, v[i]); got != want {
			t.Errorf("since change %d: %s, want %s", i, got, want)
		}
	}
	for _, never := range []uint64{0, 1, v[0] - 1, v[4] + 1, 1 << 63} {
		if got := since(t, s, never); got != "?" {
			t.Errorf("since a version that was never given: %s", got)
		}
	}
	// What clients can't see gives no version: a request that waits, a change that is none.
	_, err := s.UpdateItem(t.Context(), "bob", "z@x", func(i *account.Item) bool { i.Request = []byte("please"); return true })
	if err != nil {
		t.Fatal(err)
	}
	if now := change(t, s, "a@x", "AA", true); now != v[4] {
		t.Error("a change that nobody sees has a version")
	}
	// An account that is made anew has other versions.
	if err := errors.Join(s.Delete(t.Context(), "bob"), s.Create(t.Context(), &account.Account{Name: "bob"})); err != nil {
		t.Fatal(err)
	}
	change(t, s, "a@x", "A", true)
	if got := since(t, s, v[4]); got != "?" {
		t.Errorf("since a version of the account before: %s", got)
	}
}

// TestRosterLogIsBounded: who has missed too much is told so, and the others hear all.
func TestRosterLogIsBounded(t *testing.T) {
	s := withAccounts(t, "bob")
	first := change(t, s, "c0@x", "", true)
	var last uint64
	for i := range 300 {
		last = change(t, s, fmt.Sprintf("c%d@x", i%10), fmt.Sprint(i), true)
	}
	recent := change(t, s, "c5@x", "", false)
	if a, b, c := since(t, s, first), since(t, s, last), since(t, s, recent); a != "?" || b != "[c5@x]" || c != "[]" {
		t.Errorf("since the first change: %s; since the last but one: %s; since the last: %s", a, b, c)
	}
}

// TestRosterSinceModel: a client that applies the changes since any version it had ends with the
// roster, or is told to fetch it.
func TestRosterSinceModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, now := withAccounts(rt, "bob"), make(map[string]string)
		states := make(map[uint64]map[string]string)
		for range rapid.IntRange(1, 25).Draw(rt, "changes") {
			contact := rapid.SampledFrom([]string{"a@x", "b@x", "c@x"}).Draw(rt, "contact")
			name, listed := rapid.SampledFrom([]string{"", "N", "M"}).Draw(rt, "name"), rapid.Bool().Draw(rt, "listed")
			v := change(t, s, contact, name, listed)
			if now[contact] = "=" + name; !listed {
				delete(now, contact)
			}
			if v != 0 {
				states[v] = make(map[string]string)
			}
			for c, n := range now {
				states[v][c] = n
			}
		}
		for v, had := range states {
			c, known, err := s.RosterSince(t.Context(), "bob", v)
			if err != nil || !known {
				rt.Fatalf("since %d: known %v, %v", v, known, err)
			}
			for _, it := range c.Items {
				had[it.Contact] = "=" + it.Name
			}
			for _, contact := range c.Removed {
				delete(had, contact)
			}
			if fmt.Sprint(had) != fmt.Sprint(now) {
				rt.Fatalf("since %d: %v, want %v", v, had, now)
			}
		}
	})
}
