package mission

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

// checkReceipts looks at the stanzas of an application client: insert, update
// and delete are one message each to the leader, answered by one receipt from
// it that carries the result. A receipt that is lost brings a retry, and the
// write has happened once.
func checkReceipts(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary, InsecurePlaintext: true})
	w := tap(t, c.Info().Servers[0].C2S)
	defer w.close()
	client := harness.Dial(t, c, func(cfg *appclient.Config) {
		cfg.Addrs = []string{w.addr()}
		cfg.TryTimeout = 500 * time.Millisecond
	})
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	root := client.Root("receipts")
	if _, err := root.Put(ctx, "warm-up", nil); err != nil { // opens the session
		t.Fatal(err)
	}
	w.take()

	var version uint64
	for _, write := range []struct {
		name string
		do   func() error
	}{
		{"insert", func() (err error) { _, err = root.Put(ctx, "x", []byte("1")); return }},
		{"update", func() (err error) { version, err = root.Put(ctx, "x", []byte("2")); return }},
		{"delete", func() error { return root.Delete(ctx, "warm-up") }},
	} {
		if err := write.do(); err != nil {
			t.Fatalf("%s: %v", write.name, err)
		}
		requests, receipts := w.take()
		if len(requests) != 1 || len(receipts) != 1 {
			t.Fatalf("%s: %d requests and %d receipts went by, want one each", write.name, len(requests), len(receipts))
		}
		q, r := requests[0], receipts[0]
		if q.id == "" || r.id != q.id || !strings.Contains(r.xml, "<results") {
			t.Errorf("%s: request %q is answered by %s", write.name, q.id, r.xml)
		}
		if leader := client.Where("receipts").Leader; q.to != leader || r.from != leader {
			t.Errorf("%s: asked %s, answered by %s, the owner is %s", write.name, q.to, r.from, leader)
		}
	}
	version++ // of the delete: the root's revision grows by one a batch

	// Applied twice, the second try of a compare-and-swap would find a conflict.
	w.dropReceipts(func(n int) bool { return n == 1 })
	got, err := root.CompareAndSwap(ctx, "x", version-1, []byte("3"))
	if err != nil {
		t.Fatalf("a write whose receipt was lost: %v", err)
	}
	requests, _ := w.take()
	if w.droppedReceipts() != 1 || len(requests) < 2 {
		t.Errorf("%d receipts dropped, %d requests sent: there was no retry", w.droppedReceipts(), len(requests))
	}
	if got != version+1 {
		t.Errorf("the write with a retry made version %d, want %d: one effect", got, version+1)
	}
	o, err := root.Get(ctx, "x")
	if err != nil || string(o.Value) != "3" || o.Version != got {
		t.Errorf("afterwards: %v, %v", o, err)
	}
}
