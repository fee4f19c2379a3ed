package account

import (
	"context"
	"errors"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// Roster returns all items of an account, unlisted ones included, in the order of contacts.
func (s *Store) Roster(ctx context.Context, name string) (items []Item, err error) {
	err = s.records.View(ctx, name, func(r store.Reader) error {
		return store.ScanJSON(r, rosters, store.Range{}, func(_ []byte, it Item) bool {
			items = append(items, it)
			return true
		})
	})
	return items, wrap("read roster of", name, err)
}

// Item returns one item; a fresh one with SubNone if there is none.
func (s *Store) Item(ctx context.Context, name, contact string) (it Item, err error) {
	err = s.records.View(ctx, name, func(r store.Reader) error {
		it, err = item(r, contact)
		return err
	})
	return it, wrap("read roster of", name, err)
}

func item(r store.Reader, contact string) (Item, error) {
	it, err := store.GetJSON[Item](r, rosters, []byte(contact))
	if errors.Is(err, store.ErrNotFound) {
		return Item{Contact: contact, Subscription: SubNone}, nil
	}
	return it, err
}

// UpdateItem changes one item in a transaction. f gets the present item (or a fresh one) and
// changes it; the item is removed if it ends unlisted without subscription or request.
// f returns false to leave everything as it is, which costs no disk write. f may run several times;
// the last run counts. ErrNotFound if there is no such account. A change that the owner's clients can see gives the roster a new version.
// The step is known of changes of listed items.
func (s *Store) UpdateItem(ctx context.Context, name, contact string, f func(*Item) bool) (st Step, err error) {
	// A look without the queue for the disk first: most presence changes nothing.
	if it, err := s.Item(ctx, name, contact); err != nil {
		return st, err
	} else if !f(&it) {
		return st, nil
	}
	now := version()
	err = s.records.Update(ctx, name, func(tx store.Tx) error {
		st = Step{}
		if exists, err := Exists(tx); err != nil || !exists {
			return errors.Join(err, store.ErrNotFound)
		}
		was, err := item(tx, contact)
		if err != nil {
			return err
		}
		it := was
		it.Groups = append([]string(nil), was.Groups...) // f may change it in place
		if !f(&it) {
			return nil
		}
		switch {
		case visible(&was, &it):
			st, err = record(tx, contact, now)
		case it.Listed:
			st.From, err = latest(tx)
			st.To = st.From
		}
		if err != nil {
			return err
		}
		if it.Empty() {
			return tx.Delete(rosters, []byte(contact))
		}
		return store.PutJSON(tx, rosters, []byte(contact), it)
	})
	return st, wrap("change roster of", name, err)
}
