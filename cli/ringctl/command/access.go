package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/ring"
)

func accessCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "access",
		Usage: "which accounts may use which objects",
		Description: `A grant lets an account, or all accounts of a domain, use the roots whose names begin
with a prefix. Without any grant the accounts that the data nodes name with --app may
use everything. With the first grant only grants count, for all accounts: others are
refused from then on. When the last one is taken back they may use everything again.
Both want --yes.

   ringctl access grant --yes --write shop@example.org cart/
   ringctl access grant @example.org public/
   ringctl access list
   ringctl access revoke shop@example.org cart/`,
		Subcommands: []*cli.Command{grantCommand(env), revokeCommand(env), accessListCommand(env)},
		Action:      unknownCommand,
	}
}

func grantCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "grant",
		Usage:     "let an account use the roots with a prefix",
		ArgsUsage: "ACCOUNT [PREFIX]",
		Description: `ACCOUNT is a bare JID, or @domain for every account of a domain. Without PREFIX it is
every root. A grant of the same account and prefix is replaced. The first grant takes
everything from all other accounts, running applications too, and wants --yes. Nothing
checks that there is such an account: mind how it is written.

   ringctl access grant --write shop@example.org cart/
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(),
			&cli.BoolFlag{Name: "write", Usage: "writing too, not only reading"},
			&cli.BoolFlag{Name: "yes", Usage: "also if it is the first grant, and all other accounts lose everything"}),
		Action: func(c *cli.Context) error {
			account, prefix, err := accountAndPrefix(c)
			if err != nil {
				return err
			}
			local, domain, ok := strings.Cut(account, "@")
			if !ok || domain == "" || strings.ContainsAny(domain, "@/") || strings.Contains(local, "/") {
				return usageErrorf("account %q: write a bare JID, as shop@example.org, or @domain", account)
			}
			g := ring.Grant{Account: account, Prefix: prefix, Write: c.Bool("write")}
			return editRing(c, env, grantEdit(g, c.Bool("yes")), func(doc *ring.Document) string {
				first := ""
				if len(doc.Access) == 1 {
					first = "; this is the only grant, and nobody else may use anything, so make sure that the account is written right"
				}
				return fmt.Sprintf("%s may %s%s", g.Account, rights(g), first)
			})
		},
	}
}

// grantEdit adds a grant. The first one is refused unless yes, since it shuts out
// everybody else at once.
func grantEdit(g ring.Grant, yes bool) edit {
	return func(doc *ring.Document) (*ring.Document, error) {
		if slices.Contains(doc.Access, g) {
			return nil, nil
		}
		if len(doc.Access) == 0 && !yes {
			return nil, fmt.Errorf("this is the first grant: %s may %s then, and every other account that the data nodes name with --app"+
				" is refused everything at once; say --yes if that is meant (nothing checks that there is such an account), and grant the others what they need", g.Account, rights(g))
		}
		return doc.Grant(g)
	}
}

// revokeEdit takes a grant back. The last one is refused unless yes, since the
// store is open to all applications then.
func revokeEdit(account, prefix string, yes bool) edit {
	return func(doc *ring.Document) (*ring.Document, error) {
		next, err := doc.Revoke(account, prefix)
		if err == nil && len(next.Access) == 0 && !yes {
			return nil, errors.New("this is the last grant: without any, every account that the data nodes name with --app" +
				" may read and write everything; say --yes if that is meant")
		}
		return next, err
	}
}

func accountAndPrefix(c *cli.Context) (account, prefix string, err error) {
	args, err := names(c, 1, "an account, and a prefix if not all roots are meant")
	if err != nil {
		return "", "", err
	}
	switch len(args) {
	case 1:
		return args[0], "", nil
	case 2:
		return args[0], args[1], nil
	default:
		return "", "", usageErrorf("%s takes an account and a prefix, and got %d arguments", c.Command.Name, len(args))
	}
}

func rights(g ring.Grant) string {
	verb := "read"
	if g.Write {
		verb = "read and write"
	}
	if g.Prefix == "" {
		return verb + " every root"
	}
	return fmt.Sprintf("%s roots that begin with %q", verb, g.Prefix)
}

func revokeCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "revoke",
		Usage:     "take a grant back",
		ArgsUsage: "ACCOUNT [PREFIX]",
		Description: `The account and the prefix are those of the grant, as ringctl access list shows them.
Without any grant all applications may use everything: taking the last one back wants --yes.

   ringctl access revoke shop@example.org cart/
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(),
			&cli.BoolFlag{Name: "yes", Usage: "also if it is the last grant, and all applications may use everything again"}),
		Action: func(c *cli.Context) error {
			account, prefix, err := accountAndPrefix(c)
			if err != nil {
				return err
			}
			return editRing(c, env, revokeEdit(account, prefix, c.Bool("yes")), func(doc *ring.Document) string {
				last := ""
				if len(doc.Access) == 0 {
					last = "; there are no grants, and all applications may use everything"
				}
				return fmt.Sprintf("the grant of %s on %q is taken back%s", account, prefix, last)
			})
		},
	}
}

func accessListCommand(env Env) *cli.Command {
	return listCommand(env, listing[ring.Grant]{
		key: "access", usage: "the grants there are",
		description: `
   ringctl access list -o json | jq -r '.access[].account'
`,
		of: func(_ context.Context, _ *admin.Client, doc *ring.Document) ([]ring.Grant, error) {
			return doc.Access, nil
		},
		header: []any{"account", "prefix", "may"},
		row: func(g ring.Grant) []any {
			may := "read"
			if g.Write {
				may = "read, write"
			}
			return []any{g.Account, orDash(g.Prefix), may}
		},
	})
}
