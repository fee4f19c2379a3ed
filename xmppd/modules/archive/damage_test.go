package archive

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/bolt"
)

// onDisk lets a world use a store in a directory.
func (w *world) onDisk(dir string) *bolt.Store {
	w.t.Helper()
	s, err := bolt.Open(dir, "d")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = s.Close() })
	w.store, w.m.opt.Store = s, s
	return s
}

// TestDamagedOnDisk: bytes that were flipped in the file cost one message, and nothing else.
func TestDamagedOnDisk(t *testing.T) {
	w, dir := newWorld(t, Config{}, faults{}), t.TempDir()
	s := w.onDisk(dir)
	const n = 20
	var ids []string
	for i := range n {
		ids = append(ids, w.receive("alice@d/a", "text"+string(rune('a'+i))))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, bolt.FileName)
	file, err := os.ReadFile(path)
	last, _ := parseID(ids[n-1])
	usage := append(key(n), key(last)...)
	if err != nil || !bytes.Contains(file, []byte("textd")) || !bytes.Contains(file, usage) {
		t.Fatalf("the records are not in the file: %v", err)
	}
	file = bytes.ReplaceAll(file, []byte("textd"), []byte("tExtd"))
	file = bytes.ReplaceAll(file, usage, append(key(n+1), key(last)...))
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	w.onDisk(dir)
	for _, fields := range []string{"", "<field var='with'><value>alice@d</value></field>"} {
		got, pg := w.ask(w.parse(fields, ""))
		if len(got) != n-1 || got[3] != ids[4] || len(pg.damaged) != 1 || !pg.complete {
			t.Errorf("query %q: %d messages, damaged: %v", fields, len(got), pg.damaged)
		}
	}
	if id := w.receive("alice@d/a", "later"); id <= ids[n-1] {
		t.Errorf("the next id is %s, behind %s", id, ids[n-1])
	}
	err = w.store.View(t.Context(), "bob", func(r store.Reader) error {
		u, err := readUsed(r)
		if u.count != n+1 {
			t.Errorf("%d messages are counted", u.count)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	w.now = w.now.Add(10 * 365 * 24 * time.Hour)
	if more, err := w.m.expire(t.Context(), "bob"); more || err != nil {
		t.Errorf("expiry: %v, %v", more, err)
	}
	if got, pg := w.ask(w.parse("", "")); len(got) != 0 || len(pg.damaged) != 0 {
		t.Errorf("after expiry: %v, damaged %v", got, pg.damaged)
	}
}
