package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/appclient"
)

func deleteCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "delete",
		Usage:     "remove one object",
		ArgsUsage: "ROOT [PATH]",
		Description: `Removes the object, and nothing else: other objects of the root stay. Where there is none it
says so, and ends with code 0; with --if-present or --if-version that is an error (exit code 7).
` + objectHelp + `
   ringctl delete cart/42 item/1
   ringctl delete --if-version 7 cart/42
` + connectionHelp,
		Flags: append(append(connectionFlags(), outputFlag()), conditionFlags()...),
		Action: func(c *cli.Context) error {
			o, err := objectOptionsOf(c, env)
			if err != nil {
				return err
			}
			condition, err := conditionOf(c)
			if err != nil {
				return err
			}
			return withStore(c.Context, o.conn, func(ctx context.Context, client *appclient.Client) error {
				return remove(ctx, env, client, o, condition, c.IsSet("if-version") || c.Bool("if-present"))
			})
		},
	}
}

func remove(ctx context.Context, env Env, client *appclient.Client, o objectOptions, condition appclient.MutationOption, conditional bool) error {
	was := true
	if !conditional {
		// To learn of the write itself whether there was anything: a look before it may be of another moment.
		condition = appclient.IfPresent()
	}
	switch err := client.Root(o.root).Delete(ctx, o.path, condition); {
	case err != nil && !conditional && errors.Is(err, appclient.ErrConflict):
		was = false
	case err != nil:
		return err
	}
	if o.output == formatJSON {
		return writeJSON(env.Stdout, map[string]any{"root": o.root, "path": o.path, "deleted": was})
	}
	text := "deleted"
	if !was {
		text = "nothing to delete: there is no such object"
	}
	_, err := fmt.Fprintln(env.Stdout, text)
	return err
}
