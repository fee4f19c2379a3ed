package account_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

// newStore is a layer over a store that runs each update twice.
func newStore() *account.Store {
	return account.NewStore(storetest.Rerun(storetest.NewMemory("example.net")))
}

// withAccounts is a store with accounts of these names.
func withAccounts(t rapid.TB, names ...string) *account.Store {
	s := newStore()
	for _, name := range names {
		if err := s.Create(context.Background(), &account.Account{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestAccounts(t *testing.T) {
	ctx, s := t.Context(), newStore()
	k256, k1, err := account.Derive("pencil", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []account.Account{{Name: "bob", Group: "G", SHA256: k256, SHA1: k1}, {Name: "al", SHA256: k256, SHA1: k1}} {
		if err := s.Create(ctx, &a); err != nil {
			t.Fatal(err)
		}
		if err := s.Create(ctx, &a); !errors.Is(err, account.ErrExists) {
			t.Errorf("second %s: %v", a.Name, err)
		}
	}
	if _, err := s.UpdateItem(ctx, "bob", "x@y", func(i *account.Item) bool { i.Listed = true; return true }); err != nil {
		t.Fatal(err)
	}
	a, err := s.Account(ctx, "bob")
	if err != nil || a.Group != "G" || !a.SHA256.VerifyPassword("pencil") || a.SHA256.VerifyPassword("Pencil") || a.SHA256.VerifyPassword("") {
		t.Errorf("bob: %+v, %v", a, err)
	}
	if ms, err := s.Grouped(ctx); err != nil || len(ms) != 1 || ms[0] != (account.Member{Name: "bob", Group: "G"}) {
		t.Errorf("groups: %v, %v", ms, err)
	}
	n256, n1, _ := account.Derive("new", 0)
	if err := s.SetKeys(ctx, "bob", n256, n1); err != nil {
		t.Fatal(err)
	}
	if a, _ := s.Account(ctx, "bob"); !a.SHA256.VerifyPassword("new") || a.Group != "G" {
		t.Error("password not changed")
	}
	var names []string
	if err := s.List(ctx, func(a *account.Account) bool { names = append(names, a.Name); return true }); err != nil || !slices.Equal(names, []string{"al", "bob"}) {
		t.Errorf("list: %v, %v", names, err)
	}
	if err := s.Delete(ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	if items, err := s.Roster(ctx, "bob"); err != nil || len(items) != 0 {
		t.Errorf("roster of a removed account: %v, %v", items, err)
	}
	for _, err := range []error{s.Delete(ctx, "bob"), s.SetKeys(ctx, "bob", n256, n1)} {
		if !errors.Is(err, account.ErrNotFound) {
			t.Errorf("removed account: %v", err)
		}
	}
	if _, err := s.Account(ctx, "bob"); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("removed account: %v", err)
	}
}

// TestNothingIsInherited: an account that is made anew, or for the first time, has nothing of what
// was stored under its name before.
func TestNothingIsInherited(t *testing.T) {
	ctx, records := t.Context(), storetest.NewMemory("example.net")
	s := account.NewStore(storetest.Rerun(records))
	leave := func() {
		t.Helper()
		err := records.Update(ctx, "bob", func(tx store.Tx) error { return tx.Put("offline", []byte("1"), []byte("for the old bob")) })
		if err != nil {
			t.Fatal(err)
		}
	}
	left := func() (n int) {
		err := records.View(ctx, "bob", func(r store.Reader) error {
			return r.Scan("offline", store.Range{}, func(_, _ []byte) bool { n++; return true })
		})
		if err != nil {
			t.Error(err)
		}
		return n
	}
	leave()
	if err := s.Create(ctx, &account.Account{Name: "bob", Group: "G"}); err != nil || left() != 0 {
		t.Errorf("create: %v, %d records left", err, left())
	}
	leave()
	if err := s.Create(ctx, &account.Account{Name: "bob"}); !errors.Is(err, account.ErrExists) || left() != 1 {
		t.Errorf("refused creation: %v, %d records left", err, left())
	}
	if err := s.Delete(ctx, "bob"); err != nil || left() != 0 {
		t.Errorf("delete: %v, %d records left", err, left())
	}
	if ms, err := s.Grouped(ctx); err != nil || len(ms) != 0 {
		t.Errorf("groups after the deletion: %v, %v", ms, err)
	}
}

// TestKeysDoNotReveal: keys differ by salt, hold no password, and match RFC 7677's test vector.
func TestKeys(t *testing.T) {
	a, _, _ := account.Derive("pencil", 0)
	b, _, _ := account.Derive("pencil", 0)
	if string(a.StoredKey) == string(b.StoredKey) || a.Iterations < 4096 || len(a.StoredKey) != sha256.Size {
		t.Error("keys of equal passwords are equal, or weak")
	}
	for _, bad := range []string{"", "\u00ad", "\x07bell"} {
		if _, _, err := account.Derive(bad, 0); !errors.Is(err, account.ErrInvalid) {
			t.Errorf("password %q: %v", bad, err)
		}
	}
	d1, _ := account.Decoy([]byte("secret"), "bob")
	d2, _ := account.Decoy([]byte("secret"), "bob")
	d3, _ := account.Decoy([]byte("secret"), "bib")
	if string(d1.Salt) != string(d2.Salt) || string(d1.Salt) == string(d3.Salt) || len(d1.Salt) != len(a.Salt) || d1.Iterations != a.Iterations {
		t.Error("a decoy doesn't look like an account")
	}
}

// TestRosterModel compares the roster with a map under random changes.
func TestRosterModel(t *testing.T) {
	names := rapid.SampledFrom([]string{"a", "ab", "b"})
	contacts := rapid.SampledFrom([]string{"x@y", "x@yz", "q@y"})
	rapid.Check(t, func(rt *rapid.T) {
		s := withAccounts(rt, "a", "ab", "b")
		model := map[string]map[string]account.Item{"a": {}, "ab": {}, "b": {}}
		for range rapid.IntRange(1, 12).Draw(rt, "changes") {
			name, contact := names.Draw(rt, "name"), contacts.Draw(rt, "contact")
			it := account.Item{
				Contact: contact, Listed: rapid.Bool().Draw(rt, "listed"), Ask: rapid.Bool().Draw(rt, "ask"),
				Subscription: rapid.SampledFrom([]account.Subscription{account.SubNone, account.SubTo, account.SubFrom, account.SubBoth}).Draw(rt, "sub"),
			}
			keep := rapid.Bool().Draw(rt, "keep")
			if _, err := s.UpdateItem(rt.Context(), name, contact, func(i *account.Item) bool { *i = it; return keep }); err != nil {
				rt.Fatal(err)
			}
			if keep {
				model[name][contact] = it
				if it.Empty() {
					delete(model[name], contact)
				}
			}
		}
		for name, want := range model {
			items, err := s.Roster(rt.Context(), name)
			if err != nil || len(items) != len(want) {
				rt.Fatalf("roster of %s: %v, %v, want %v", name, items, err, want)
			}
			for _, it := range items {
				if w := want[it.Contact]; w.Subscription != it.Subscription || w.Listed != it.Listed || w.Ask != it.Ask {
					rt.Fatalf("item %v, want %v", it, w)
				}
			}
		}
	})
}

// TestRosterOfNobody: a roster that nobody has can't be changed.
func TestRosterOfNobody(t *testing.T) {
	_, err := newStore().UpdateItem(t.Context(), "bob", "x@y", func(i *account.Item) bool { i.Listed = true; return true })
	if !errors.Is(err, account.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
