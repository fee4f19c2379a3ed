package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

func user() *cli.Command {
	return &cli.Command{
		Name:   "user",
		Usage:  "manage accounts, whether the server runs or not",
		Action: unknownCommand,
		Subcommands: []*cli.Command{
			userAdd(), userPasswd(), userGroup(), userDelete(), userList(),
		},
	}
}

func dataFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "data", Usage: "`DIR` of the server", Value: xmppd.Defaults().Data},
		&cli.StringFlag{Name: "domain", Usage: "the server's `DOMAIN`; needed only by `user add` on a new directory"},
	}, more...)
}

func passwordFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "password", Usage: "the `PASSWORD`; others can see it in the list of processes"},
		&cli.StringFlag{Name: "password-file", Usage: "`FILE` whose first line is the password; - or nothing: standard input"},
	}
}

// password reads the password from where the flags say.
func password(c *cli.Context) (string, error) {
	if c.IsSet("password") {
		return c.String("password"), nil
	}
	var in io.Reader = c.App.Reader
	if path := c.String("password-file"); path != "" && path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", usage(fmt.Errorf("read password: %w", err))
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	if line == "" {
		return "", usage(errors.New("no password: give --password-file FILE, or a line on standard input"))
	}
	return line, nil
}

// withUsers runs f on the accounts that the flags name.
func withUsers(c *cli.Context, f func(xmppd.Users) error) error {
	return with(c, xmppd.OpenUsers, f)
}

func with(c *cli.Context, open func(ctx context.Context, data, domain string) (xmppd.Users, error), f func(xmppd.Users) error) error {
	users, err := open(c.Context, c.String("data"), c.String("domain"))
	if errors.Is(err, store.ErrForeign) {
		return usage(err)
	}
	if err != nil {
		return err
	}
	err = f(users)
	if errors.Is(err, account.ErrInvalid) {
		err = usage(err)
	}
	return errors.Join(err, users.Close())
}

// outputFlag chooses how a list is written.
func outputFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "output", Aliases: []string{"o"}, Usage: "`table|json`", Value: "table",
		Action: func(_ *cli.Context, o string) error {
			if o != "table" && o != "json" {
				return usage(fmt.Errorf("--output is table or json, not %q", o))
			}
			return nil
		},
	}
}

// oneName returns the only argument.
func oneName(c *cli.Context) (string, error) {
	if c.NArg() != 1 {
		return "", usage(fmt.Errorf("give one NAME (flags come before it); got %d arguments", c.NArg()))
	}
	return c.Args().First(), nil
}

func userAdd() *cli.Command {
	return &cli.Command{
		Name: "add", Usage: "make an account", ArgsUsage: "NAME",
		Flags: dataFlags(append(passwordFlags(),
			&cli.StringFlag{Name: "group", Usage: "shared `GROUP`: members of such groups see one another without asking"})...),
		Action: func(c *cli.Context) error {
			name, err := oneName(c)
			if err != nil {
				return err
			}
			pw, err := password(c)
			if err != nil {
				return err
			}
			return with(c, xmppd.OpenOrMakeUsers, func(u xmppd.Users) error { return u.Add(c.Context, name, pw, c.String("group")) })
		},
	}
}

func userPasswd() *cli.Command {
	return &cli.Command{
		Name: "passwd", Usage: "change an account's password", ArgsUsage: "NAME",
		Flags: dataFlags(passwordFlags()...),
		Action: func(c *cli.Context) error {
			name, err := oneName(c)
			if err != nil {
				return err
			}
			pw, err := password(c)
			if err != nil {
				return err
			}
			return withUsers(c, func(u xmppd.Users) error { return u.SetPassword(c.Context, name, pw) })
		},
	}
}

func userDelete() *cli.Command {
	return &cli.Command{
		Name: "delete", Usage: "remove an account with its roster", ArgsUsage: "NAME",
		Description: `Ends the account's sessions and subscriptions, and removes all that is stored for it here. What other
programs know it for by its name they know the next account of that name for, too: take the grants that
it has in a store back first (ringctl access list, ringctl access revoke).`,
		Flags: dataFlags(),
		Action: func(c *cli.Context) error {
			name, err := oneName(c)
			if err != nil {
				return err
			}
			if err := withUsers(c, func(u xmppd.Users) error { return u.Delete(c.Context, name) }); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.App.Writer, "%s is deleted; grants that it has in a store go by name, so the next %[1]s has them: `ringctl access revoke`\n", name)
			return err
		},
	}
}

func userList() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list accounts with their groups",
		Flags: dataFlags(outputFlag()),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return withUsers(c, func(u xmppd.Users) error {
				users, err := u.List(c.Context)
				if err != nil {
					return err
				}
				if c.String("output") == "json" {
					return json.NewEncoder(c.App.Writer).Encode(users)
				}
				w := tabwriter.NewWriter(c.App.Writer, 0, 4, 2, ' ', 0)
				_, _ = fmt.Fprintln(w, "NAME\tGROUP")
				for _, a := range users {
					_, _ = fmt.Fprintf(w, "%s\t%s\n", a.Name, a.Group)
				}
				return w.Flush()
			})
		},
	}
}
