package offline

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/bolt"
)

const manyKept = 300

// disk is a store in a directory.
func disk(t *testing.T, dir string) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(dir, "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// flip changes a byte of a closed store's file, wherever a text is in there.
func flip(t *testing.T, dir, text string) {
	t.Helper()
	path := filepath.Join(dir, bolt.FileName)
	b, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(b, []byte(text)) {
		t.Fatalf("%q is not in the file: %v", text, err)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(b, []byte(text), []byte("#"+text[1:])), 0o600); err != nil {
		t.Fatal(err)
	}
}

// drainDamaged keeps messages, damages one of the first, the last, and their count, keeps one more, and logs in
// twice. It returns how many messages the first session got, the log, and how many were counted.
func drainDamaged(t *testing.T, f faults) (got int, said string, dropped float64) {
	dir := t.TempDir()
	s := disk(t, dir)
	if err := account.NewStore(s).Create(t.Context(), &account.Account{Name: "bob"}); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, Config{}, f, router.Faults{})
	var log bytes.Buffer
	w.module.opt.Log = slog.New(slog.NewTextHandler(&log, nil))
	w.module.opt.Store = s
	var usage []byte // the record of how much is kept
	alice := w.login("alice@d/a", 1<<20)
	for i := range manyKept {
		w.send(alice, chat(i))
	}
	err := s.View(t.Context(), "bob", func(r store.Reader) error {
		u, err := readUsed(r)
		usage = append(keyOf(u.count), keyOf(u.bytes)...)
		return err
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	flip(t, dir, string(usage))
	flip(t, dir, "<body>3</body>")
	flip(t, dir, fmt.Sprintf("<body>%d</body>", manyKept-1))
	w.module.opt.Store = disk(t, dir)
	w.send(alice, strings.Replace(chat(0), ">0<", ">late<", 1)) // behind a damaged one
	bob := w.login("bob@d/b", 1<<20)
	w.send(bob, "<presence/>")
	w.wg.Wait()
	got = len(w.wires[bob].read())
	w.end(bob)
	w.send(w.login("bob@d/c", 1<<20), "<presence/>")
	w.wg.Wait()
	registry := prometheus.NewRegistry()
	registry.MustRegister(w.module.metrics.dropped)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.Metric {
			dropped += m.Counter.GetValue() // nothing else is dropped
		}
	}
	return got, log.String(), dropped
}

// TestDamagedMessage: the messages behind a damaged one are delivered; that one is told of once.
func TestDamagedMessage(t *testing.T) {
	got, said, dropped := drainDamaged(t, faults{})
	if got != manyKept-1 || dropped != 2 || strings.Count(said, "level=ERROR") != 2 || !strings.Contains(said, "account=bob") {
		t.Errorf("%d delivered, %v counted, log:\n%s", got, dropped, said)
	}
	if got, _, _ := drainDamaged(t, faults{halt: true}); got == manyKept-1 {
		t.Error("a module that halts at a damaged message passes the test")
	}
}
