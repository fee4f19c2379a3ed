package store_test

import (
	"errors"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

type card struct{ Name string }

func TestJSON(t *testing.T) {
	s := storetest.NewMemory("example.net")
	err := s.Update(t.Context(), "o", func(tx store.Tx) error {
		if _, err := store.GetJSON[card](tx, "c", []byte("a")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("missing record: %v", err)
		}
		err := errors.Join(store.PutJSON(tx, "c", []byte("a"), card{"A"}), store.PutJSON(tx, "c", []byte("b"), card{"B"}), tx.Put("c", []byte("d"), []byte("no JSON")))
		if err != nil {
			return err
		}
		if a, err := store.GetJSON[card](tx, "c", []byte("a")); a.Name != "A" || err != nil {
			t.Errorf("a: %v, %v", a, err)
		}
		if _, err := store.GetJSON[card](tx, "c", []byte("d")); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("get of a damaged record: %v", err)
		}
		if err := store.PutJSON(tx, "C", nil, card{}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("put into a bad collection: %v", err)
		}
		seen := ""
		collect := func(_ []byte, c card) bool { seen += c.Name; return true }
		if err := store.ScanJSON(tx, "c", store.Range{}, collect); !errors.Is(err, store.ErrCorrupt) || seen != "AB" {
			t.Errorf("scan to a damaged record: %q, %v", seen, err)
		}
		if err := store.ScanJSON(tx, "c", store.Range{To: []byte("b")}, collect); err != nil || seen != "ABA" {
			t.Errorf("scan: %q, %v", seen, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
