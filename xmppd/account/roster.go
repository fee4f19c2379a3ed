package account

import (
	"bytes"
	"context"
	"fmt"

	"go.etcd.io/bbolt"
)

// itemKey orders the items of an account together. NUL can't be part of a JID.
func itemKey(name, contact string) []byte {
	k := make([]byte, 0, len(name)+1+len(contact))
	k = append(append(k, name...), 0)
	return append(k, contact...)
}

// Roster implements Store.
func (b *Bolt) Roster(_ context.Context, name string) (items []Item, err error) {
	err = b.view(fmt.Sprintf("read roster of %q", name), func(tx *bbolt.Tx) error {
		c, prefix := tx.Bucket(bucketRosters()).Cursor(), itemKey(name, "")
		for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
			var it Item
			if err := decodeRecord(v, &it); err != nil {
				return fmt.Errorf("item %q: %w", k[len(prefix):], err)
			}
			items = append(items, it)
		}
		return nil
	})
	return items, err
}

func itemIn(tx *bbolt.Tx, name, contact string) (Item, error) {
	v := tx.Bucket(bucketRosters()).Get(itemKey(name, contact))
	if v == nil {
		return Item{Contact: contact, Subscription: SubNone}, nil
	}
	var it Item
	err := decodeRecord(v, &it)
	return it, err
}

// Item implements Store.
func (b *Bolt) Item(_ context.Context, name, contact string) (it Item, err error) {
	err = b.view(fmt.Sprintf("read roster of %q", name), func(tx *bbolt.Tx) error {
		it, err = itemIn(tx, name, contact)
		return err
	})
	return it, err
}

// UpdateItem implements Store. A change that f declines costs no disk write.
func (b *Bolt) UpdateItem(ctx context.Context, name, contact string, f func(*Item) bool) error {
	// A look without the write lock first: presence of well-known contacts changes nothing.
	if it, err := b.Item(ctx, name, contact); err != nil {
		return err
	} else if !f(&it) {
		return nil
	}
	return b.update(fmt.Sprintf("change roster of %q", name), func(tx *bbolt.Tx) error {
		it, err := itemIn(tx, name, contact)
		if err != nil {
			return err
		}
		if !f(&it) {
			return nil
		}
		rosters := tx.Bucket(bucketRosters())
		if it.Empty() {
			return rosters.Delete(itemKey(name, contact))
		}
		rec, err := encodeRecord(&it)
		if err != nil {
			return err
		}
		return rosters.Put(itemKey(name, contact), rec)
	})
}
