package command

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/appclient"
)

func getCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "get",
		Usage:     "read one object",
		ArgsUsage: "ROOT [PATH]",
		Description: `Writes the object's value to standard output, byte for byte. -o json prints the line that
ringctl export has for it, with version, references and expiry. The read is linearizable.
` + objectHelp + `
   ringctl get cart/42 item/1
   ringctl get -o json cart/42 item/1 | jq .version
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(),
			&cli.DurationFlag{Name: "stale", DefaultText: "linearizable", Usage: "from any replica, with a state that is at most `AGE` old"}),
		Action: func(c *cli.Context) error {
			o, err := objectOptionsOf(c, env)
			if err != nil {
				return err
			}
			var read []appclient.ReadOption
			if c.IsSet("stale") {
				read = append(read, appclient.Stale(c.Duration("stale")))
			}
			return withStore(c.Context, o.conn, func(ctx context.Context, client *appclient.Client) error {
				return get(ctx, env, client, o, read)
			})
		},
	}
}

func get(ctx context.Context, env Env, client *appclient.Client, o objectOptions, read []appclient.ReadOption) error {
	obj, err := client.Root(o.root).Get(ctx, o.path, read...)
	if err != nil {
		return err
	}
	if o.output == formatJSON {
		return writeJSON(env.Stdout, objectLine(obj))
	}
	if _, err := env.Stdout.Write(obj.Value); err != nil {
		return fmt.Errorf("write the value: %w", err)
	}
	if !env.Terminal {
		return nil // the value and nothing else
	}
	// For people: on a line of its own, so that the prompt does not hang on the value.
	expires := ""
	if !obj.Expires.IsZero() {
		expires = ", expires " + obj.Expires.UTC().Format(time.RFC3339)
	}
	_, err = fmt.Fprintf(env.Stderr, "\nversion %d, %s, %d references%s\n", obj.Version, bytesText(uint64(len(obj.Value))), len(obj.Refs), expires)
	return err
}
