package account_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/xmppd/account"
)

const domain = "example.net"

func open(t *testing.T, dir string) *account.Bolt {
	t.Helper()
	s, err := account.Open(dir, domain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := account.Open(dir, domain); !errors.Is(err, account.ErrLocked) {
		t.Errorf("second open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := account.Open(dir, "example.com"); !errors.Is(err, account.ErrForeign) {
		t.Errorf("other domain: %v", err)
	}
	if _, err := account.Open(t.TempDir(), ""); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("new directory without domain: %v", err)
	}
	s, err := account.Open(dir, "")
	if err != nil {
		t.Fatalf("used directory without domain: %v", err)
	}
	if d, err := s.Domain(); d != domain || err != nil {
		t.Errorf("domain %q, %v", d, err)
	}
	_ = s.Close()

	edit(t, dir, "meta", "format", binary.BigEndian.AppendUint32(nil, 99))
	if _, err := account.Open(dir, domain); !errors.Is(err, account.ErrNewerFormat) {
		t.Errorf("newer format: %v", err)
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, account.FileName), make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := account.Open(foreign, domain); !errors.Is(err, account.ErrForeign) {
		t.Errorf("no database: %v", err)
	}
}

// edit changes a value behind the store's back.
func edit(t *testing.T, dir, bucket, key string, value []byte) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, account.FileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if value == nil { // flip one bit
			value = slices.Clone(b.Get([]byte(key)))
			value[len(value)/2] ^= 4
		}
		return b.Put([]byte(key), value)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestAccounts(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	secret := s.Secret()
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
	if err := s.UpdateItem(ctx, "bob", "x@y", func(i *account.Item) bool { i.Listed = true; return true }); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	s = open(t, dir)
	if string(s.Secret()) != string(secret) || len(secret) != 32 {
		t.Error("the secret changes")
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

func TestDamagedRecord(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	k256, k1, _ := account.Derive("pencil", 0)
	if err := s.Create(ctx, &account.Account{Name: "bob", SHA256: k256, SHA1: k1}); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	edit(t, dir, "accounts", "bob", nil)
	s = open(t, dir)
	if _, err := s.Account(ctx, "bob"); !errors.Is(err, account.ErrCorrupt) {
		t.Errorf("flipped bit: %v", err)
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

// TestRosterModel compares the roster with a map under random changes and restarts.
func TestRosterModel(t *testing.T) {
	names := rapid.SampledFrom([]string{"a", "ab", "b"})
	contacts := rapid.SampledFrom([]string{"x@y", "x@yz", "q@y"})
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		s, err := account.Open(dir, domain)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		model := map[string]map[string]account.Item{"a": {}, "ab": {}, "b": {}}
		for range rapid.IntRange(1, 12).Draw(rt, "changes") {
			name, contact := names.Draw(rt, "name"), contacts.Draw(rt, "contact")
			it := account.Item{
				Contact: contact, Listed: rapid.Bool().Draw(rt, "listed"), Ask: rapid.Bool().Draw(rt, "ask"),
				Subscription: rapid.SampledFrom([]account.Subscription{account.SubNone, account.SubTo, account.SubFrom, account.SubBoth}).Draw(rt, "sub"),
			}
			keep := rapid.Bool().Draw(rt, "keep")
			if err := s.UpdateItem(rt.Context(), name, contact, func(i *account.Item) bool { *i = it; return keep }); err != nil {
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
