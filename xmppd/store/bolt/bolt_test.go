package bolt

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

const domain = "example.net"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir, os.Getenv(childEarly) != "")
	}
	goleak.VerifyTestMain(m)
}

func openOrFail(t testing.TB, dir string, f faults) *Store {
	t.Helper()
	s, err := open(dir, domain, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func put(t testing.TB, s *Store, owner, key, value string) {
	t.Helper()
	if err := tryPut(t, s, owner, key, value); err != nil {
		t.Fatal(err)
	}
}

func tryPut(t testing.TB, s *Store, owner, key, value string) error {
	return s.Update(t.Context(), owner, func(tx store.Tx) error { return tx.Put("c", []byte(key), []byte(value)) })
}

// get reads a value; an error in its place.
func get(t testing.TB, s *Store, owner, key string) (string, error) {
	var out string
	err := s.View(t.Context(), owner, func(r store.Reader) error {
		v, err := r.Get("c", []byte(key))
		out = string(v)
		return err
	})
	return out, err
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string) store.Store { return openOrFail(t, dir, faults{}) })
}

// TestConformanceBites: the suite finds what breaks isolation and atomicity.
func TestConformanceBites(t *testing.T) {
	for name, f := range map[string]faults{
		"keys without separator":     {noSeparator: true},
		"ranges into the next owner": {noOwnerBound: true},
		"failed updates stay":        {keepFailed: true},
	} {
		var found []string
		for _, c := range storetest.Cases() {
			switch c.Name { // quick ones are enough
			case "OwnersApart", "Atomic", "Drop", "Ranges":
			default:
				continue
			}
			dir := t.TempDir()
			if err := c.Run(t.Context(), func() store.Store { return openOrFail(t, dir, f) }); err != nil {
				found = append(found, c.Name)
			}
		}
		if len(found) == 0 {
			t.Errorf("no case finds the bug %q", name)
		}
	}
}

// ended is never.
func ended() error {
	runtime.Goexit()
	return nil
}

// TestGoexit: a function that ends its goroutine, as t.Fatal does, leaves nobody waiting.
func TestGoexit(t *testing.T) {
	s := openOrFail(t, t.TempDir(), faults{})
	put(t, s, "o", "k", "v")
	block, entered := make(chan struct{}), make(chan struct{})
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		first <- s.Update(t.Context(), "o", func(tx store.Tx) error {
			close(entered)
			<-block
			return errors.Join(tx.Drop(), ended())
		})
	}()
	<-entered
	go func() { second <- tryPut(t, s, "o", "k", "new") }()
	close(block)
	if err := <-first; err == nil {
		t.Error("the update that ended its goroutine succeeded")
	}
	if err := <-second; err == nil {
		t.Error("an update without a committer succeeded")
	}
	if err := tryPut(t, s, "o", "k", "newer"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("later update: %v", err)
	}
	if v, err := get(t, s, "o", "k"); v != "v" || err != nil {
		t.Errorf("the record is %q, %v", v, err)
	}
}
