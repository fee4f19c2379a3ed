package command

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/appclient"
)

func deleteCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "delete",
		Usage:     "remove one object",
		ArgsUsage: "ROOT [PATH]",
		Description: `Removes the object, and nothing else: other objects of the root stay. There being none is an
error only with --if-present or --if-version (exit code 7).
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
				return remove(ctx, env, client, o, condition)
			})
		},
	}
}

func remove(ctx context.Context, env Env, client *appclient.Client, o objectOptions, condition appclient.MutationOption) error {
	if err := client.Root(o.root).Delete(ctx, o.path, condition); err != nil {
		return err
	}
	if o.output == formatJSON {
		return writeJSON(env.Stdout, map[string]any{"root": o.root, "path": o.path})
	}
	_, err := fmt.Fprintln(env.Stdout, "deleted")
	return err
}
