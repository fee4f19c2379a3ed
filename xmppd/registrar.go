package xmppd

import (
	"context"
	"errors"

	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// registrar is the accounts as in-band registration sees them: refusals are the stanza errors of
// XEP-0077 section 3.1, so that the module needs to know nothing of accounts.
type registrar struct{ *Accounts }

func (r registrar) Add(ctx context.Context, name, password, group string) error {
	return refusal(r.Accounts.Add(ctx, name, password, group))
}

func (r registrar) SetPassword(ctx context.Context, name, password string) error {
	return refusal(r.Accounts.SetPassword(ctx, name, password))
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
