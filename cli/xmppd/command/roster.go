package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/xmppd"
)

func roster() *cli.Command {
	return &cli.Command{
		Name:   "roster",
		Usage:  "set what is in the rosters of accounts, as a portal does; clients that are on line see it at once",
		Action: unknownCommand,
		Subcommands: []*cli.Command{
			rosterList(), rosterSet(), rosterRemove(),
		},
	}
}

// twoNames returns account and contact.
func twoNames(c *cli.Context) (name, contact string, err error) {
	if c.NArg() != 2 {
		return "", "", usage(fmt.Errorf("give NAME and JID (flags come before them); got %d arguments", c.NArg()))
	}
	return c.Args().Get(0), c.Args().Get(1), nil
}

func rosterList() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list an account's contacts", ArgsUsage: "NAME",
		Flags: dataFlags(outputFlag()),
		Action: func(c *cli.Context) error {
			name, err := oneName(c)
			if err != nil {
				return err
			}
			return withUsers(c, func(u xmppd.Users) error {
				items, err := u.Roster(c.Context, name)
				if err != nil {
					return err
				}
				if c.String("output") == "json" {
					return json.NewEncoder(c.App.Writer).Encode(items)
				}
				w := tabwriter.NewWriter(c.App.Writer, 0, 4, 2, ' ', 0)
				_, _ = fmt.Fprintln(w, "JID\tSUBSCRIPTION\tNAME\tGROUPS")
				for _, it := range items {
					_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", it.JID, it.Subscription, it.Name, strings.Join(it.Groups, ", "))
				}
				return w.Flush()
			})
		},
	}
}

func rosterSet() *cli.Command {
	return &cli.Command{
		Name: "set", Usage: "add a contact or change it; a contact of this server gets the other half", ArgsUsage: "NAME JID",
		Flags: dataFlags(
			&cli.StringFlag{Name: "name", Usage: "the `NAME` that the account sees"},
			&cli.StringSliceFlag{Name: "group", Usage: "a `GROUP` of the account's roster to list it in; may be repeated"},
			&cli.BoolFlag{Name: "force", Usage: "also a contact of this server that has no account yet"},
			&cli.StringFlag{Name: "subscription", Value: "both", Usage: "`none|to|from|both`: to: the account sees the contact's presence"},
		),
		Action: func(c *cli.Context) error {
			name, contact, err := twoNames(c)
			if err != nil {
				return err
			}
			item := xmppd.RosterItem{JID: contact, Name: c.String("name"), Groups: c.StringSlice("group"), Subscription: c.String("subscription"), Force: c.Bool("force")}
			return withUsers(c, func(u xmppd.Users) error { return u.SetRosterItem(c.Context, name, item) })
		},
	}
}

func rosterRemove() *cli.Command {
	return &cli.Command{
		Name: "remove", Usage: "remove a contact and end the subscriptions of both sides", ArgsUsage: "NAME JID",
		Flags: dataFlags(),
		Action: func(c *cli.Context) error {
			name, contact, err := twoNames(c)
			if err != nil {
				return err
			}
			return withUsers(c, func(u xmppd.Users) error { return u.RemoveRosterItem(c.Context, name, contact) })
		},
	}
}

func userGroup() *cli.Command {
	return &cli.Command{
		Name: "group", Usage: "put an account into a shared group, or out of all", ArgsUsage: "NAME [GROUP]",
		Flags: dataFlags(),
		Action: func(c *cli.Context) error {
			if n := c.NArg(); n < 1 || n > 2 {
				return usage(errors.New("give NAME and GROUP, or NAME alone to take it out of its group"))
			}
			return withUsers(c, func(u xmppd.Users) error {
				return u.SetGroup(c.Context, c.Args().Get(0), c.Args().Get(1))
			})
		},
	}
}
