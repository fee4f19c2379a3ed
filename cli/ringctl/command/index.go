package command

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/ring"
)

func indexCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "index",
		Usage: "secondary indexes over fields of JSON objects",
		Description: `An index finds objects by a field of their JSON. It is built in the background and kept
up to date by every write; queries name it.

   ringctl index create --prefix user/ --field address.city by-city
   ringctl index list
   ringctl index drop by-city`,
		Subcommands: []*cli.Command{indexCreateCommand(env), indexListCommand(env), indexDropCommand(env)},
		Action:      unknownCommand,
	}
}

func indexCreateCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "create",
		Usage:     "define an index; it is built in the background",
		ArgsUsage: "NAME",
		Description: `--field names the JSON member, through objects with dots. --prefix bounds it to roots
whose names begin so; --path to one object of each root, or "*" for any.
An index that is there with the same definition is no error.

   ringctl index create --field email users-by-email
   ringctl index create --prefix cart/ --path "*" --field sku by-sku
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(),
			&cli.StringFlag{Name: "field", Usage: "`FIELD` of the JSON, as address.city"},
			&cli.StringFlag{Name: "prefix", Usage: "`PREFIX` of the roots' names; without, all roots"},
			&cli.StringFlag{Name: "path", Usage: "`PATH` of the objects within a root; without, the root object itself; * is any"}),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "NAME"); err != nil {
				return err
			}
			if c.String("field") == "" {
				return usageErrorf("index create wants --field; see `%s --help`", commandName(c))
			}
			x := ring.Index{Name: c.Args().First(), Prefix: c.String("prefix"), Path: c.String("path"), Field: c.String("field")}
			return editRing(c, env, indexEdit(x), func(*ring.Document) string {
				return "index " + x.Name + " is defined; queries are answered once it is built"
			})
		},
	}
}

// indexEdit defines an index; the same one again is no error.
func indexEdit(x ring.Index) edit {
	return func(doc *ring.Document) (*ring.Document, error) {
		for _, have := range doc.Indexes {
			same := x
			if same.ID = have.ID; have == same {
				return nil, nil
			}
		}
		return doc.AddIndex(x)
	}
}

func indexDropCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "drop",
		Usage:     "remove an index; objects stay",
		ArgsUsage: "NAME",
		Description: `Queries that name it fail from then on.

   ringctl index drop by-city
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag()),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "NAME"); err != nil {
				return err
			}
			name := c.Args().First()
			return editRing(c, env, func(doc *ring.Document) (*ring.Document, error) {
				return doc.DropIndex(name)
			}, func(*ring.Document) string { return "index " + name + " is dropped" })
		},
	}
}

func indexListCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "the indexes that are defined",
		Description: `
   ringctl index list -o json | jq -r '.indexes[].name'
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag()),
		Action: func(c *cli.Context) error {
			return showRing(c, env, func(doc *ring.Document, out format) error {
				if out == formatJSON {
					return writeJSON(env.Stdout, map[string]any{"epoch": doc.Epoch, "indexes": orEmpty(doc.Indexes)})
				}
				t := newTable(env.Stdout, "index", "id", "prefix", "path", "field")
				for _, x := range doc.Indexes {
					t.AppendRow([]any{x.Name, x.ID, orDash(x.Prefix), orDash(x.Path), x.Field})
				}
				rightAlign(t, 2)
				t.Render()
				return nil
			})
		},
	}
}

// orEmpty makes JSON show no elements as [].
func orEmpty[T any](list []T) []T { return append([]T{}, list...) }

// showRing fetches the ring and shows something of it.
func showRing(c *cli.Context, env Env, show func(*ring.Document, format) error) error {
	if err := wantArgs(c); err != nil {
		return err
	}
	return asOperator(c, env, func(ctx context.Context, op *admin.Client, conn connection, out format) error {
		ctx, cancel := context.WithTimeout(ctx, conn.timeout)
		defer cancel()
		doc, err := op.Ring(ctx)
		if err != nil {
			return unreachable(seesNothing(op, conn, err))
		}
		return show(doc, out)
	})
}
