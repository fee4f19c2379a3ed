package xmppd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/modules/adhoc"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// AdhocConfig says who may run commands from a chat client.
type AdhocConfig struct {
	Admins []string `toml:"admins"` // bare JIDs or names of accounts
}

// admins are the JIDs of the configured administrators.
func (s *Server) admins() ([]stanza.JID, error) {
	var all []stanza.JID
	for _, a := range s.cfg.Modules.Adhoc.Admins {
		j, err := stanza.ParseJID(a)
		if err == nil && j.Local == "" { // a name
			j, err = stanza.ParseJID(a + "@" + s.cfg.Domain)
		}
		if err != nil || j.Local == "" || j.Resource != "" || j.Domain != s.cfg.Domain {
			return nil, fmt.Errorf("modules.adhoc.admins: %q is no account of %s", a, s.cfg.Domain)
		}
		all = append(all, j)
	}
	return all, nil
}

// nsAdmin names the commands of XEP-0133 and the types of their forms.
const nsAdmin = "http://jabber.org/protocol/admin"

// listed bounds how many JIDs a command shows.
const listed = 500

// commands are what administrators can run (XEP-0133, those that make sense here).
func (s *Server) commands(table *session.Table) []adhoc.Command {
	hidden := adhoc.Field{Var: "FORM_TYPE", Type: "hidden", Values: []string{nsAdmin}}
	who := adhoc.Field{Var: "accountjid", Type: "jid-single", Label: "the account", Required: true}
	secret := adhoc.Field{Var: "password", Type: "text-private", Label: "its password", Required: true}
	again := adhoc.Field{Var: "password-verify", Type: "text-private", Label: "the password again", Required: true}
	onAccount := func(f func(ctx context.Context, name string, values map[string][]string) error) func(context.Context, map[string][]string) ([]adhoc.Field, error) {
		return func(ctx context.Context, values map[string][]string) ([]adhoc.Field, error) {
			name, err := s.accountName(values["accountjid"])
			if err != nil {
				return nil, err
			}
			return nil, told(f(ctx, name, values))
		}
	}
	return []adhoc.Command{
		{
			Node: nsAdmin + "#add-user", Name: "Add an account", Form: []adhoc.Field{hidden, who, secret, again},
			Run: onAccount(func(ctx context.Context, name string, v map[string][]string) error {
				if !slices.Equal(v["password"], v["password-verify"]) {
					return module.BadRequest("the two passwords differ")
				}
				return s.accounts.Add(ctx, name, v["password"][0], "")
			}),
		},
		{
			Node: nsAdmin + "#delete-user", Name: "Remove an account", Form: []adhoc.Field{hidden, who},
			Run: onAccount(func(ctx context.Context, name string, _ map[string][]string) error {
				return s.accounts.Delete(ctx, name)
			}),
		},
		{
			Node: nsAdmin + "#change-user-password", Name: "Change a password", Form: []adhoc.Field{hidden, who, secret},
			Run: onAccount(func(ctx context.Context, name string, v map[string][]string) error {
				return s.accounts.SetPassword(ctx, name, v["password"][0])
			}),
		},
		{
			Node: nsAdmin + "#end-user-session", Name: "End the sessions of an account", Form: []adhoc.Field{hidden, who},
			Run: onAccount(func(ctx context.Context, name string, _ map[string][]string) error {
				if _, err := s.store.Account(ctx, name); err != nil {
					return err
				}
				s.im.EndAll(ctx, name+"@"+s.cfg.Domain, "policy-violation", "an administrator has ended the session")
				return nil
			}),
		},
		{
			Node: nsAdmin + "#get-online-users-num", Name: "Count the sessions",
			Run: func(ctx context.Context, _ map[string][]string) ([]adhoc.Field, error) {
				all := s.sessions(ctx, table, 0)
				return all.silence([]adhoc.Field{hidden, {Var: "onlineusersnum", Label: "sessions", Values: []string{strconv.Itoa(all.Count)}}}), nil
			},
		},
		{
			Node: nsAdmin + "#get-online-users-list", Name: "List the sessions",
			Run: func(ctx context.Context, _ map[string][]string) ([]adhoc.Field, error) {
				all := s.sessions(ctx, table, listed)
				label := fmt.Sprintf("%d of %d sessions", len(all.JIDs), all.Count)
				return all.silence([]adhoc.Field{hidden, {Var: "onlineuserjids", Type: "text-multi", Label: label, Values: all.JIDs}}), nil
			},
		},
	}
}

// silence adds the servers that have not said which sessions they have.
func (all *some) silence(fields []adhoc.Field) []adhoc.Field {
	if len(all.Silent) == 0 {
		return fields
	}
	return append(fields, adhoc.Field{Var: "x-silent-servers", Type: "text-multi", Label: "servers that did not answer: their sessions are missing here", Values: all.Silent})
}

// accountName is the name of the account that a form names by its JID.
func (s *Server) accountName(values []string) (string, error) {
	if len(values) == 1 {
		if j, err := stanza.ParseJID(values[0]); err == nil && j.Local != "" && j.Domain == s.cfg.Domain {
			return j.Local, nil
		}
	}
	return "", module.BadRequest("accountjid is the bare JID of one account of " + s.cfg.Domain)
}

// told makes the errors of accounts ones that an administrator is shown.
func told(err error) error {
	switch {
	case errors.Is(err, account.ErrNotFound):
		return module.NotFound("there is no such account")
	default:
		return refusal(err)
	}
}
