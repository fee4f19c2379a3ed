// Package storetest holds what tests of storage need: the conformance suite of every store.Store, a
// store in memory, and one that runs updates twice.
package storetest

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// Memory is a Store in memory, for tests of what is built on stores and as the model that other
// implementations are compared with. It keeps nothing: Close only stops it.
type Memory struct {
	domain string
	mu     sync.Mutex // guards what follows; held while an update runs
	owners map[string]collections
	closed bool
}

// collections are one owner's: collection, key. A value is never changed in place, and neither are
// the maps that Memory holds, so that a View may read them without the lock.
type collections map[string]map[string][]byte

// NewMemory makes an empty store of a domain.
func NewMemory(domain string) *Memory {
	return &Memory{domain: domain, owners: make(map[string]collections)}
}

// Domain implements store.Store.
func (m *Memory) Domain() string { return m.domain }

// Secret implements store.Store. It is no secret.
func (m *Memory) Secret() []byte { return []byte("the secret of a test is 32 bytes") }

// Close implements store.Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// begin returns an owner's records with m.mu held if there is no error.
func (m *Memory) begin(ctx context.Context, owner string) (collections, error) {
	if err := store.CheckOwner(owner); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil, store.ErrClosed
	}
	return m.owners[owner], nil
}

// View implements store.Store.
func (m *Memory) View(ctx context.Context, owner string, f func(store.Reader) error) error {
	rs, err := m.begin(ctx, owner)
	if err != nil {
		return err
	}
	m.mu.Unlock()
	return f(&memTx{rs})
}

// Update implements store.Store.
func (m *Memory) Update(ctx context.Context, owner string, f func(store.Tx) error) error {
	rs, err := m.begin(ctx, owner)
	if err != nil {
		return err
	}
	defer m.mu.Unlock()
	tx := &memTx{make(collections, len(rs))}
	for c, r := range rs {
		tx.records[c] = maps.Clone(r)
	}
	if err := f(tx); err != nil {
		return err
	}
	m.owners[owner] = tx.records
	return nil
}

// Owners implements store.Store.
func (m *Memory) Owners(ctx context.Context, collection, after string, f func(string) bool) error {
	if err := store.CheckCollection(collection); err != nil {
		return err
	}
	if _, err := m.begin(ctx, after); err != nil {
		return err
	}
	var names []string
	for name, rs := range m.owners {
		if name > after && len(rs[collection]) > 0 {
			names = append(names, name)
		}
	}
	m.mu.Unlock()
	slices.Sort(names)
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !f(n) {
			return nil
		}
	}
	return nil
}

type memTx struct{ records collections }

func (t *memTx) Get(collection string, key []byte) ([]byte, error) {
	if err := store.Check(collection, key, nil); err != nil {
		return nil, err
	}
	if v, ok := t.records[collection][string(key)]; ok {
		return v, nil
	}
	return nil, store.ErrNotFound
}

// keys returns the keys of a range in the order of the range.
func (t *memTx) keys(collection string, r store.Range) ([]string, error) {
	if err := store.CheckCollection(collection); err != nil {
		return nil, err
	}
	var keys []string
	for k := range t.records[collection] {
		if k >= string(r.From) && (r.To == nil || k < string(r.To)) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	if r.Reverse {
		slices.Reverse(keys)
	}
	return keys, nil
}

func (t *memTx) Scan(collection string, r store.Range, f func(key, value []byte) bool) error {
	keys, err := t.keys(collection, r)
	for _, k := range keys {
		if v, ok := t.records[collection][k]; ok && !f([]byte(k), v) {
			break
		}
	}
	return err
}

func (t *memTx) Put(collection string, key, value []byte) error {
	if err := store.Check(collection, key, value); err != nil {
		return err
	}
	if t.records[collection] == nil {
		t.records[collection] = make(map[string][]byte)
	}
	t.records[collection][string(key)] = append([]byte{}, value...)
	return nil
}

func (t *memTx) Delete(collection string, key []byte) error {
	if err := store.Check(collection, key, nil); err != nil {
		return err
	}
	delete(t.records[collection], string(key))
	return nil
}

func (t *memTx) DeleteRange(collection string, r store.Range) (int, error) {
	keys, err := t.keys(collection, r)
	for _, k := range keys {
		delete(t.records[collection], k)
	}
	return len(keys), err
}

func (t *memTx) Drop() error {
	clear(t.records)
	return nil
}
