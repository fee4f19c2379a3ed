package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// Collections of an account. The first two have one record each, under the empty key.
const (
	accounts = "account"
	groups   = "group"
	rosters  = "roster"     // by contact
	log      = "roster-log" // by version: the contact that changed
)

// Store holds accounts and rosters. All methods are safe for concurrent use; a change is durable
// when its method returns nil. Names are localparts, prepared by RFC 7622.
type Store struct{ records store.Store }

// NewStore makes the layer over a store, which remains the caller's to close.
func NewStore(s store.Store) *Store { return &Store{records: s} }

// Secret is a random key of the data directory, the same at each start.
func (s *Store) Secret() []byte { return s.records.Secret() }

// wrap says what failed, and what it means that a record is missing.
func wrap(what, name string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", what, name, err)
	}
	return nil
}

// Create adds an account. ErrExists if the name is taken. Nothing that an earlier account of that
// name may have left is there for the new one.
func (s *Store) Create(ctx context.Context, a *Account) error {
	return wrap("create account", a.Name, s.records.Update(ctx, a.Name, func(tx store.Tx) error {
		_, err := tx.Get(accounts, nil)
		switch {
		case err == nil:
			return ErrExists
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if err := tx.Drop(); err != nil {
			return err
		}
		if a.Group != "" {
			if err := store.PutJSON(tx, groups, nil, a.Group); err != nil {
				return err
			}
		}
		return store.PutJSON(tx, accounts, nil, a)
	}))
}

// SetKeys replaces the credentials of an account. ErrNotFound.
func (s *Store) SetKeys(ctx context.Context, name string, sha256, sha1 Keys) error {
	return wrap("change password of", name, s.records.Update(ctx, name, func(tx store.Tx) error {
		a, err := store.GetJSON[Account](tx, accounts, nil)
		if err != nil {
			return err
		}
		a.SHA256, a.SHA1 = sha256, sha1
		return store.PutJSON(tx, accounts, nil, a)
	}))
}

// SetGroup puts an account into a shared group, out of all with "". ErrNotFound.
func (s *Store) SetGroup(ctx context.Context, name, group string) error {
	return wrap("change group of", name, s.records.Update(ctx, name, func(tx store.Tx) error {
		a, err := store.GetJSON[Account](tx, accounts, nil)
		if err != nil {
			return err
		}
		a.Group = group
		if group == "" {
			err = tx.Delete(groups, nil)
		} else {
			err = store.PutJSON(tx, groups, nil, group)
		}
		if err != nil {
			return err
		}
		return store.PutJSON(tx, accounts, nil, a)
	}))
}

// Delete removes an account with everything that is stored for it, by modules too. ErrNotFound.
func (s *Store) Delete(ctx context.Context, name string) error {
	return wrap("delete account", name, s.records.Update(ctx, name, func(tx store.Tx) error {
		if _, err := tx.Get(accounts, nil); err != nil && !errors.Is(err, store.ErrCorrupt) {
			return err
		}
		return tx.Drop()
	}))
}

// Exists tells, inside a View or Update of an owner, whether there is an account of that name: what
// modules keep for one must not come back after its end.
func Exists(r store.Reader) (bool, error) {
	_, err := r.Get(accounts, nil)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Account returns one account. ErrNotFound.
func (s *Store) Account(ctx context.Context, name string) (*Account, error) {
	var a Account
	err := s.records.View(ctx, name, func(r store.Reader) (err error) {
		a, err = store.GetJSON[Account](r, accounts, nil)
		return err
	})
	if err != nil {
		return nil, wrap("read account", name, err)
	}
	return &a, nil
}

// List calls f for each account in the order of names until f returns false.
func (s *Store) List(ctx context.Context, f func(*Account) bool) error {
	return s.each(ctx, accounts, func(name string) (bool, error) {
		a, err := s.Account(ctx, name)
		return err == nil && f(a), err
	})
}

// Grouped returns name and group of every account that has a group, in the order of names.
func (s *Store) Grouped(ctx context.Context) (ms []Member, err error) {
	err = s.each(ctx, groups, func(name string) (bool, error) {
		m := Member{Name: name}
		err := s.records.View(ctx, name, func(r store.Reader) (err error) {
			m.Group, err = store.GetJSON[string](r, groups, nil)
			return err
		})
		if err != nil {
			return false, wrap("read group of", name, err)
		}
		ms = append(ms, m)
		return true, nil
	})
	return ms, err
}

// each calls f for the accounts with records in a collection until it returns false or an error.
// One that is deleted meanwhile is passed over.
func (s *Store) each(ctx context.Context, collection string, f func(name string) (bool, error)) error {
	var bad error
	err := s.records.Owners(ctx, collection, "", func(name string) bool {
		next, err := f(name)
		if errors.Is(err, ErrNotFound) {
			return true
		}
		bad = err
		return next && err == nil
	})
	if bad != nil {
		return bad
	}
	if err != nil {
		return fmt.Errorf("list accounts: %w", err)
	}
	return nil
}
