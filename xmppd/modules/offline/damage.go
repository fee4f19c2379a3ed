package offline

import (
	"context"
	"errors"
	"fmt"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// reported is the collection of the keys of damaged messages that were told of, so that each is told
// of once. The messages stay where they are until they are too old, for somebody to look at.
const reported = "offline-damaged"

// unreadable reports whether an error is about one record only.
func unreadable(err error) bool {
	var bad *store.RecordError
	return errors.As(err, &bad)
}

// scan scans messages from a time on. It goes on behind those that are damaged and collects them.
func (m *Module) scan(r store.Reader, from uint64, f func(key, raw []byte) bool, damaged *[]*store.RecordError) error {
	rng := store.Range{From: keyOf(from)}
	if m.faults.halt {
		return r.Scan(messages, rng, f)
	}
	return store.ScanReadable(r, messages, rng, f, func(bad *store.RecordError) {
		if _, err := r.Get(reported, bad.Key); err != nil {
			*damaged = append(*damaged, bad)
		}
	})
}

// report tells of damaged messages, and remembers that it did.
func (m *Module) report(ctx context.Context, owner string, damaged []*store.RecordError) error {
	for _, bad := range damaged {
		m.opt.Log.Error("a kept message is damaged and is not delivered; restore it from a backup",
			"account", owner, "key", fmt.Sprintf("%x", bad.Key), "error", bad)
	}
	m.metrics.dropped.WithLabelValues("damaged").Add(float64(len(damaged)))
	return m.opt.Store.Update(ctx, owner, func(tx store.Tx) error {
		for _, bad := range damaged {
			if err := tx.Put(reported, bad.Key, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// count finds out how much is kept, when the record of it can't be read.
func count(r store.Reader) (u used, err error) {
	err = store.ScanReadable(r, messages, store.Range{}, func(_, raw []byte) bool {
		u.count++
		u.bytes += uint64(len(raw))
		return true
	}, func(*store.RecordError) { u.count++ })
	return u, err
}
