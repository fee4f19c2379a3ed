package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/op"
)

type putOptions struct {
	objectOptions
	value []byte
	with  []appclient.MutationOption
}

func putCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "put",
		Usage:     "write one object",
		ArgsUsage: "ROOT [PATH]",
		Description: `Reads the value from standard input, byte for byte, or takes it from --value or --file, and
creates or replaces the object. Prints its new version (-o json: root, path, version) once it
is durable on a majority. What the object had of references and expiry is gone.

--if-version is compare-and-swap: it fails with exit code 7 if somebody was faster.
` + objectHelp + `
   ringctl put --value 'two apples' cart/42 item/1
   ringctl put --if-absent --file cart.json cart/42
   ringctl get cart/42 | jq -c '.open = false' | ringctl put --if-version 7 cart/42
` + connectionHelp,
		Flags: append(append(connectionFlags(), outputFlag(),
			&cli.StringFlag{Name: "value", Usage: "the value, as `TEXT`"},
			&cli.StringFlag{Name: "file", Usage: "`FILE` that holds the value"},
			&cli.DurationFlag{Name: "ttl", DefaultText: "never", Usage: "the object expires after this `TIME`"},
			&cli.BoolFlag{Name: "if-absent", Usage: "only if there is no such object"}),
			conditionFlags()...),
		Action: func(c *cli.Context) error {
			o, err := putOptionsOf(c, env)
			if err != nil {
				return err
			}
			return withStore(c.Context, o.conn, func(ctx context.Context, client *appclient.Client) error {
				return put(ctx, env, client, o)
			})
		},
	}
}

func putOptionsOf(c *cli.Context, env Env) (o putOptions, err error) {
	if o.objectOptions, err = objectOptionsOf(c, env); err != nil {
		return o, err
	}
	condition, err := conditionOf(c)
	if err != nil {
		return o, err
	}
	o.with = append(o.with, condition)
	if ttl := c.Duration("ttl"); c.IsSet("ttl") {
		if ttl < time.Millisecond {
			return o, usageErrorf("--ttl %v: at least 1ms; leave it out for ever", ttl)
		}
		o.with = append(o.with, appclient.WithTTL(ttl))
	}
	o.value, err = valueOf(c, env)
	return o, err
}

// valueOf is the value to write. It is read whole before anything is sent.
func valueOf(c *cli.Context, env Env) ([]byte, error) {
	if c.IsSet("value") && c.IsSet("file") {
		return nil, usageErrorf("--value and --file: which one?")
	}
	in, name := env.Stdin, "standard input"
	switch {
	case c.IsSet("value"):
		return []byte(c.String("value")), nil
	case c.IsSet("file"):
		name = c.String("file")
		f, err := os.Open(name)
		if err != nil {
			return nil, noFile(fmt.Errorf("read the value: %w", err))
		}
		defer f.Close() //nolint:errcheck // only read
		in = f
	}
	value, err := io.ReadAll(io.LimitReader(in, op.MaxValue+1))
	if err != nil {
		return nil, fmt.Errorf("read the value from %s: %w", name, err)
	}
	if len(value) > op.MaxValue {
		return nil, fmt.Errorf("%s holds more than %s, the most that a value can have", name, bytesText(op.MaxValue))
	}
	return value, nil
}

func put(ctx context.Context, env Env, client *appclient.Client, o putOptions) error {
	version, err := client.Root(o.root).Put(ctx, o.path, o.value, o.with...)
	if err != nil {
		return err
	}
	if o.output == formatJSON {
		return writeJSON(env.Stdout, map[string]any{"root": o.root, "path": o.path, "version": version})
	}
	_, err = fmt.Fprintf(env.Stdout, "version %d\n", version)
	return err
}
