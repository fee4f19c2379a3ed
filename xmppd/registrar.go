package xmppd

import (
	"context"
	"errors"

	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// registrar is the accounts as in-band registration sees them: refusals are the stanza errors of
// XEP-0077 section 3.1, so that the module needs to know nothing of accounts.
type registrar struct {
	*Accounts
	log audit
}

func (r registrar) Add(ctx context.Context, name, password, group string) error {
	err := r.Accounts.Add(ctx, name, password, group)
	r.log.changed(ctx, byRegistration, "add account", name, err)
	return refusal(err)
}

func (r registrar) SetPassword(ctx context.Context, name, password string) error {
	err := r.Accounts.SetPassword(ctx, name, password)
	r.log.changed(ctx, byRegistration, "change password", name, err)
	return refusal(err)
}

func (r registrar) Remove(ctx context.Context, name string) (end func(), err error) {
	end, err = r.Accounts.Remove(ctx, name)
	r.log.changed(ctx, byRegistration, "delete account", name, err)
	return end, err
}

func refusal(err error) error {
	switch {
	case errors.Is(err, account.ErrExists):
		return &module.Error{Type: "cancel", Condition: "conflict", Text: "the name is taken"}
	case errors.Is(err, account.ErrInvalid):
		return &module.Error{Type: "modify", Condition: "not-acceptable", Text: err.Error()}
	}
	return err
}
