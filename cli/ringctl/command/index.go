package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/op"
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

An array is indexed by its elements; strings over 512 bytes, objects and what is no JSON are
left out. Of more than 256 values of an object, or 16 KiB with its name in front of each, the lowest
are in the index. Queries are refused until the index is built: --wait returns then.

   ringctl index create --wait --field email users-by-email
   ringctl index create --prefix cart/ --path "*" --field sku by-sku
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(),
			&cli.StringFlag{Name: "field", Usage: "`FIELD` of the JSON, as address.city"},
			&cli.StringFlag{Name: "prefix", Usage: "`PREFIX` of the roots' names; without, all roots"},
			&cli.StringFlag{Name: "path", Usage: "`PATH` of the objects within a root; without, the root object itself; * is any"},
			&cli.BoolFlag{Name: "wait", Usage: "return when it is built, and queries are answered"}),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "NAME"); err != nil {
				return err
			}
			x := ring.Index{Name: c.Args().First(), Prefix: c.String("prefix"), Path: c.String("path"), Field: c.String("field")}
			if err := checkIndex(x); err != nil {
				return err
			}
			err := editRing(c, env, indexEdit(x), func(*ring.Document) string {
				if c.Bool("wait") {
					return "index " + x.Name + " is defined"
				}
				return "index " + x.Name + " is defined; queries are answered once it is built: ringctl index list"
			})
			if err != nil || !c.Bool("wait") {
				return err
			}
			return asOperator(c, env, func(ctx context.Context, op *admin.Client, conn connection, _ format) error {
				return awaitIndex(ctx, env, op, conn, x.Name)
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

// indexRow is the JSON of an index in index list: its definition, and how far it is.
type indexRow struct {
	ring.Index
	State      string `json:"state"` // ready or building
	Ready      int    `json:"ready"` // partitions in which it can be queried
	Partitions int    `json:"partitions"`
}

func indexListCommand(env Env) *cli.Command {
	return listCommand(env, listing[indexRow]{
		key: "indexes", usage: "the indexes that are defined, and whether they can be queried",
		description: `An index that is building refuses queries until it is ready in all partitions.

   ringctl index list -o json | jq -r '.indexes[] | select(.state=="building") | .name'
`,
		of:     indexRows,
		header: []any{"index", "id", "prefix", "path", "field", "state", "partitions"},
		row: func(x indexRow) []any {
			return []any{x.Name, x.ID, orDash(x.Prefix), orDash(x.Path), x.Field, x.State, fmt.Sprintf("%d of %d", x.Ready, x.Partitions)}
		},
	})
}

func indexRows(ctx context.Context, operator *admin.Client, doc *ring.Document) ([]indexRow, error) {
	ready, err := operator.ReadyIndexes(ctx, doc)
	rows := []indexRow{}
	for _, x := range doc.Indexes {
		row := indexRow{Index: x, State: "building", Ready: ready[x.ID], Partitions: doc.Partitions}
		if row.Ready == row.Partitions {
			row.State = "ready"
		}
		rows = append(rows, row)
	}
	return rows, err
}

// awaitIndex returns when the index can be queried everywhere.
func awaitIndex(ctx context.Context, env Env, operator *admin.Client, conn connection, name string) error {
	told := time.Now()
	for {
		look, cancel := context.WithTimeout(ctx, conn.timeout)
		doc, err := operator.Ring(look)
		var rows []indexRow
		if err == nil {
			rows, err = indexRows(look, operator, doc)
		}
		cancel()
		if err != nil {
			return unreachable(err)
		}
		i := slices.IndexFunc(rows, func(x indexRow) bool { return x.Name == name })
		if i < 0 {
			return fmt.Errorf("index %s was dropped meanwhile", name)
		}
		if rows[i].Ready == rows[i].Partitions {
			_, err := fmt.Fprintf(env.Stderr, "index %s is ready\n", name)
			return err
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			fmt.Fprintf(env.Stderr, "index %s is ready in %d of %d partitions\n", name, rows[i].Ready, rows[i].Partitions)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// checkIndex says what is wrong with a definition that is typed: the store takes any
// text, but names are to be typed again, and a field that no JSON has finds nothing.
func checkIndex(x ring.Index) error {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
	}
	if x.Name == "" || len(x.Name) > op.MaxIndex || strings.ContainsFunc(x.Name, odd) {
		return usageErrorf("index name %q: use up to %d letters, digits, - _ and .", x.Name, op.MaxIndex)
	}
	if x.Field == "" {
		return usageErrorf("index create wants --field, as address.city")
	}
	for _, member := range strings.Split(x.Field, ".") {
		if member == "" || member != strings.TrimSpace(member) {
			return usageErrorf("field %q: write the names of JSON members with dots between, as address.city", x.Field)
		}
	}
	if x.Prefix != "" {
		if err := op.CheckRoot(x.Prefix); err != nil {
			return usageErrorf("prefix: %w", err)
		}
	}
	if err := op.CheckPath(x.Path); err != nil {
		return usageErrorf("%w", err)
	}
	return nil
}
