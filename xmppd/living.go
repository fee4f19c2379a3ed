package xmppd

import (
	"context"
	"errors"

	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// living is the store of modules that keep what an account says of itself: a session may have more to
// say when its account has just been removed, and none of that must be kept.
type living struct{ store.Store }

// Update implements store.Store.
func (l living) Update(ctx context.Context, owner string, f func(store.Tx) error) error {
	return l.Store.Update(ctx, owner, func(tx store.Tx) error {
		if exists, err := account.Exists(tx); err != nil || !exists {
			return errors.Join(err, module.Forbidden("the account was removed"))
		}
		return f(tx)
	})
}
