package replicated

import (
	"bytes"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// tx is a store.Tx. Its changes stay with it until they are committed together.
type tx struct{ reader }

// Put implements store.Tx.
func (t *tx) Put(collection string, key, value []byte) error {
	if err := store.Check(collection, key, value); err != nil {
		return err
	}
	t.changes.set(collection, change{key: bytes.Clone(key), value: append([]byte{}, value...)})
	return nil
}

// Delete implements store.Tx.
func (t *tx) Delete(collection string, key []byte) error {
	if err := store.Check(collection, key, nil); err != nil {
		return err
	}
	t.changes.set(collection, change{key: bytes.Clone(key), deleted: true})
	return nil
}

// DeleteRange implements store.Tx.
func (t *tx) DeleteRange(collection string, rng store.Range) (int, error) {
	if err := store.CheckCollection(collection); err != nil {
		return 0, err
	}
	var keys [][]byte
	for _, c := range t.changes.of(collection).all() {
		if !c.deleted && inRange(c.key, rng) {
			keys = append(keys, c.key)
		}
	}
	stored := walk{r: &t.reader, collection: collection, rng: rng, size: maxPage}
	for {
		base, err := stored.peek(t.changes.of(collection))
		if err != nil {
			return 0, err
		}
		if base == nil {
			break
		}
		keys = append(keys, bytes.Clone(base.key))
		stored.page = stored.page[1:]
	}
	for _, k := range keys {
		t.changes.set(collection, change{key: k, deleted: true})
	}
	return len(keys), nil
}

// Drop implements store.Tx.
func (t *tx) Drop() error {
	t.changes = changes{dropped: true}
	return nil
}
