package command

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/ring"
)

// listing is a command that shows rows of the ring document.
type listing[T any] struct {
	key         string // of the rows in JSON
	usage       string
	description string
	of          func(context.Context, *admin.Client, *ring.Document) ([]T, error)
	header      []any
	row         func(T) []any
}

func listCommand[T any](env Env, l listing[T]) *cli.Command {
	return &cli.Command{
		Name:        "list",
		Usage:       l.usage,
		Description: l.description + connectionHelp,
		Flags:       append(connectionFlags(), outputFlag()),
		Action: func(c *cli.Context) error {
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
				rows, err := l.of(ctx, op, doc)
				if err != nil {
					return unreachable(err)
				}
				if out == formatJSON {
					return writeJSON(env.Stdout, map[string]any{"epoch": doc.Epoch, l.key: append([]T{}, rows...)})
				}
				t := newTable(env.Stdout, l.header...)
				for _, r := range rows {
					t.AppendRow(l.row(r))
				}
				t.Render()
				return nil
			})
		},
	}
}
