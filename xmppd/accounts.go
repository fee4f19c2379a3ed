package xmppd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// Watcher hears of accounts that come and go.
type Watcher interface {
	AccountLeaves(ctx context.Context, name string) // before the account is deleted
	AccountAdded(ctx context.Context, name, group string)
	AccountRemoved(ctx context.Context, name string)
	GroupChanged(ctx context.Context, name, group string)
}

// Accounts manages accounts: it prepares names (RFC 7622) and derives keys, which are all that is
// stored of a password. Safe for concurrent use.
type Accounts struct {
	Store  *account.Store
	Domain string
	Watch  Watcher // may be nil

	elsewhere atomic.Bool // another system has the passwords that count
}

// Prepare checks a localpart and returns it as it is stored. account.ErrInvalid.
func (a *Accounts) Prepare(name string) (string, error) {
	j, err := stanza.ParseJID(name + "@" + a.Domain)
	if err != nil || j.Local == "" || j.Domain != a.Domain || j.Resource != "" {
		return "", account.Invalid("%q can't be the name of an account: give the part before the @ only, without spaces (RFC 7622 section 3.3)", name)
	}
	return j.Local, nil
}

// Add makes an account. account.ErrExists, account.ErrInvalid.
func (a *Accounts) Add(ctx context.Context, name, password, group string) error {
	name, err := a.Prepare(name)
	if err != nil {
		return err
	}
	if err := checkGroup(group); err != nil {
		return err
	}
	switch _, err := a.Store.Account(ctx, name); { // before deriving keys
	case err == nil:
		return fmt.Errorf("create account %q: %w", name, account.ErrExists)
	case !errors.Is(err, account.ErrNotFound):
		return err
	}
	acc := &account.Account{Name: name, Group: group, Created: time.Now().UTC()}
	if acc.SHA256, acc.SHA1, err = account.Derive(password, account.DefaultIterations); err != nil {
		return err
	}
	if err := a.Store.Create(ctx, acc); err != nil {
		return err
	}
	if a.Watch != nil {
		a.Watch.AccountAdded(ctx, name, group)
	}
	return nil
}

func checkGroup(group string) error {
	if len(group) > 200 || strings.ContainsAny(group, "\x00\n\r\t") {
		return account.Invalid("%q can't be the name of a group", group)
	}
	return nil
}

// exists reports whether there is an account of a prepared name.
func (a *Accounts) exists(ctx context.Context, name string) (bool, error) {
	_, err := a.Store.Account(ctx, name)
	if errors.Is(err, account.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// SetGroup puts an account into a shared group, out of all with "". account.ErrNotFound,
// account.ErrInvalid.
func (a *Accounts) SetGroup(ctx context.Context, name, group string) error {
	name, err := a.Prepare(name)
	if err != nil {
		return err
	}
	if err := checkGroup(group); err != nil {
		return err
	}
	if err := a.Store.SetGroup(ctx, name, group); err != nil {
		return err
	}
	if a.Watch != nil {
		a.Watch.GroupChanged(ctx, name, group)
	}
	return nil
}

// SetPassword changes a password. Sessions go on. account.ErrNotFound, account.ErrInvalid, also where
// another system has the passwords.
func (a *Accounts) SetPassword(ctx context.Context, name, password string) error {
	name, err := a.Prepare(name)
	if err != nil {
		return err
	}
	if a.elsewhere.Load() {
		return account.Invalid("another system keeps the passwords (auth.source is \"http\"), one set here would count for nothing: change it there")
	}
	sha256Keys, sha1Keys, err := account.Derive(password, account.DefaultIterations)
	if err != nil {
		return err
	}
	return a.Store.SetKeys(ctx, name, sha256Keys, sha1Keys)
}

// Delete removes an account with its roster and ends its sessions. account.ErrNotFound.
func (a *Accounts) Delete(ctx context.Context, name string) error {
	end, err := a.Remove(ctx, name)
	if err == nil {
		end()
	}
	return err
}

// Remove is Delete, but it leaves it to the caller to end the sessions, by calling end: one of them
// may have asked for it, and has to be answered first.
func (a *Accounts) Remove(ctx context.Context, name string) (end func(), err error) {
	if name, err = a.Prepare(name); err != nil {
		return nil, err
	}
	if _, err := a.Store.Account(ctx, name); err != nil && !errors.Is(err, store.ErrCorrupt) {
		return nil, err // before contacts are told, one by one, of what can't be
	}
	if a.Watch != nil {
		a.Watch.AccountLeaves(ctx, name)
	}
	if err := a.Store.Delete(ctx, name); err != nil {
		return nil, err
	}
	return func() {
		if a.Watch != nil {
			a.Watch.AccountRemoved(ctx, name)
		}
	}, nil
}

// makeAccounts makes the accounts of the configuration that don't exist yet.
func (s *Server) makeAccounts(ctx context.Context, list []AccountConfig) error {
	for _, c := range list {
		name, err := s.accounts.Prepare(c.Name)
		if err != nil {
			return misconfigured(fmt.Errorf("[[account]]: %w", err))
		}
		if _, err := s.store.Account(ctx, name); err == nil {
			continue
		}
		pw, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return misconfigured(fmt.Errorf("password_file of account %q: %w", name, err))
		}
		err = s.accounts.Add(ctx, name, strings.TrimRight(string(pw), "\r\n"), c.Group)
		if errors.Is(err, account.ErrInvalid) {
			return misconfigured(fmt.Errorf("[[account]] %q: %w", name, err))
		}
		if err != nil && !errors.Is(err, account.ErrExists) {
			return err
		}
		s.log.Info("account made", "name", name, "group", c.Group)
	}
	return nil
}
