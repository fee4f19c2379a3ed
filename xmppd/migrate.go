package xmppd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/bolt"
)

// migration takes the records of a server that was alone over into the cluster that it founds. Until that is
// done no server takes clients, so nobody writes meanwhile, and it can be done again from the beginning.
type migration struct {
	disk *bolt.Store
	path string // of its file
	log  *slog.Logger
	stop func(records int64) error // tests: the server crashes

	records, damaged atomic.Int64
}

// olderRecords are those that the server had before it was of a cluster; nil if there are none.
func (s *Server) olderRecords() (*migration, error) {
	path := filepath.Join(s.cfg.Data, bolt.FileName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // there is none
	}
	disk, err := bolt.Open(s.cfg.Data, s.cfg.Domain)
	if err != nil {
		return nil, err
	}
	m := &migration{disk: disk, path: path, log: s.log, stop: s.faults.migrate}
	collections, err := disk.Collections()
	switch {
	case err != nil:
		return nil, errors.Join(err, disk.Close())
	case len(collections) == 0:
		return nil, disk.Close() // nothing is in there
	case !s.cfg.Cluster.founds():
		return nil, misconfigured(errors.Join(m.refuse(false), disk.Close()))
	}
	return m, nil
}

// refuse says why a server with records of its own can't join.
func (m *migration) refuse(exists bool) error {
	hint := ", or, if they are what a new cluster is to begin with, set cluster.found = true on this server and on no other"
	if exists {
		hint = ""
	}
	return fmt.Errorf("%s has accounts and records of this server's own, and the cluster that it is to join has its: two sets of accounts can't be merged; move the file away%s", m.path, hint)
}

// Bounds of what is copied in one update.
const (
	copyRecords = 500
	copyBytes   = 1 << 20
	copiers     = 16
)

// run copies all records (replicated.Import).
func (m *migration) run(ctx context.Context, to store.Store) error {
	began := time.Now()
	m.records.Store(0)
	m.damaged.Store(0)
	m.log.Info("records of this server alone become those of the cluster", "from", m.path)
	collections, err := m.disk.Collections()
	if err != nil {
		return err
	}
	for _, c := range collections {
		if err := m.collection(ctx, to, c); err != nil {
			return fmt.Errorf("take over %s: %w", c, err)
		}
	}
	m.log.Info("records of this server alone are those of the cluster now", "records", m.records.Load(), "damaged", m.damaged.Load(), "took", time.Since(began).String())
	return nil
}

// collection copies one collection of all owners, several at once.
func (m *migration) collection(ctx context.Context, to store.Store, name string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	owners := make(chan string)
	var wg sync.WaitGroup
	for range copiers {
		wg.Go(func() {
			for owner := range owners {
				if err := m.owner(ctx, to, name, owner); err != nil {
					cancel(err)
				}
			}
		})
	}
	give := func(owner string) bool {
		select {
		case owners <- owner:
			return true
		case <-ctx.Done():
			return false
		}
	}
	give("") // the domain
	err := m.disk.Owners(ctx, name, "", give)
	close(owners)
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// owner copies what one owner has in a collection.
func (m *migration) owner(ctx context.Context, to store.Store, collection, owner string) error {
	from := store.Range{}
	for {
		page, next, err := m.page(ctx, collection, owner, from)
		if err != nil || len(page) == 0 {
			return err
		}
		err = to.Update(ctx, owner, func(tx store.Tx) error {
			for _, r := range page {
				if err := tx.Put(collection, r.key, r.value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if n := m.records.Add(int64(len(page))); m.stop != nil {
			if err := m.stop(n); err != nil {
				return err
			}
		}
		from.From = next
	}
}

type record struct{ key, value []byte }

// page reads some records, and says where the next ones begin. What is damaged stays in the file.
func (m *migration) page(ctx context.Context, collection, owner string, from store.Range) (page []record, next []byte, err error) {
	size := 0
	err = m.disk.View(ctx, owner, func(r store.Reader) error {
		return store.ScanReadable(r, collection, from, func(key, value []byte) bool {
			page = append(page, record{append([]byte{}, key...), append([]byte{}, value...)})
			size += len(key) + len(value)
			return len(page) < copyRecords && size < copyBytes
		}, func(bad *store.RecordError) {
			m.damaged.Add(1)
			m.log.Error("a damaged record is left behind", "file", m.path, "error", bad)
		})
	})
	if n := len(page); n > 0 {
		next = append(page[n-1].key[:len(page[n-1].key):len(page[n-1].key)], 0)
	}
	return page, next, err
}

// done puts the file aside: its records are those of the cluster. A nil migration is no error.
func (m *migration) done(log *slog.Logger) error {
	if m == nil || m.disk == nil {
		return nil
	}
	if err := m.close(); err != nil {
		return err
	}
	aside := m.path + ".before-cluster"
	for i := 1; ; i++ {
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			break
		}
		aside = fmt.Sprintf("%s.before-cluster.%d", m.path, i)
	}
	if err := os.Rename(m.path, aside); err != nil {
		return fmt.Errorf("put the file of taken over records aside: %w", err)
	}
	log.Info("the file of the records that were taken over is kept, and not used any more", "file", aside)
	return nil
}

// close lets go of the file. A nil migration is no error.
func (m *migration) close() error {
	if m == nil || m.disk == nil {
		return nil
	}
	disk := m.disk
	m.disk = nil
	return disk.Close()
}
