package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/op"
)

type lsOptions struct {
	conn         connection
	output       format
	root, prefix string
	limit        int
}

func lsCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "ls",
		Usage:     "list roots, or the objects of a root",
		ArgsUsage: "[ROOT]",
		Description: `Without ROOT it lists the names of the roots that have objects, in byte order, those that
begin with --prefix; with ROOT that root's objects: path, version, size, expiry. -o json prints
an object a line: {"root"}, or {"root","path","version","size","expires"}, expires in
milliseconds since 1970. Values are shown by get and by export. Exit code 9: the account has
no grant for that.

   ringctl ls --prefix cart/
   ringctl ls cart/42
   ringctl ls --limit 0 -o json | jq -r .root
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(),
			&cli.StringFlag{Name: "prefix", Usage: "only names that begin with `PREFIX`: of roots, or of paths with ROOT"},
			&cli.IntFlag{Name: "limit", Value: 1000, Usage: "`NUMBER` of lines at most; 0: all"}),
		Action: func(c *cli.Context) error {
			o, err := lsOptionsOf(c, env)
			if err != nil {
				return err
			}
			return withClient(c.Context, o.conn, func(ctx context.Context, client *appclient.Client) error {
				return ls(ctx, env, client, o)
			})
		},
	}
}

func lsOptionsOf(c *cli.Context, env Env) (o lsOptions, err error) {
	o.prefix, o.limit = c.String("prefix"), c.Int("limit")
	if o.limit < 0 {
		return o, usageErrorf("--limit %d: choose 1 or more, or 0 for all", o.limit)
	}
	if c.NArg() > 0 {
		if err := wantArgs(c, "ROOT"); err != nil {
			return o, err
		}
		o.root = c.Args().First()
		if err := op.CheckRoot(o.root); err != nil {
			return o, usageErrorf("%w", err)
		}
	}
	if o.output, err = outputOf(c); err != nil {
		return o, err
	}
	o.conn, err = connectionOf(c, env)
	return o, err
}

// errEnough ends a listing at its limit.
var errEnough = errors.New("limit reached")

func ls(ctx context.Context, env Env, client *appclient.Client, o lsOptions) error {
	show := lsRoots
	if o.root != "" {
		show = lsObjects
	}
	// A long list may take its time, as long as it goes on.
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	patience := time.AfterFunc(o.conn.timeout, func() {
		stop(fmt.Errorf("nothing came for %v: %w", o.conn.timeout, context.DeadlineExceeded))
	})
	defer patience.Stop()
	seen := 0
	err := show(ctx, env, client, o, func() error {
		patience.Reset(o.conn.timeout)
		if seen++; o.limit > 0 && seen > o.limit {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		_, err = fmt.Fprintf(env.Stderr, "there is more than these %d; --limit 0 lists all\n", o.limit)
	}
	return err
}

func lsRoots(ctx context.Context, env Env, client *appclient.Client, o lsOptions, count func() error) error {
	for root, err := range client.Roots(ctx, appclient.ScanOptions{Prefix: o.prefix}) {
		if err == nil {
			err = count()
		}
		if err == nil && o.output == formatJSON {
			err = writeJSON(env.Stdout, map[string]any{"root": root})
		} else if err == nil {
			_, err = fmt.Fprintln(env.Stdout, root)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// listed is the JSON of an object in a listing; its fields are a contract with scripts.
type listed struct {
	Root    string `json:"root"`
	Path    string `json:"path"`
	Version uint64 `json:"version"`
	Size    uint64 `json:"size"` // bytes of the value
	Expires int64  `json:"expires,omitempty"`
}

func lsObjects(ctx context.Context, env Env, client *appclient.Client, o lsOptions, count func() error) error {
	t := newTable(env.Stdout, "path", "version", "size", "expires")
	rightAlign(t, 2, 3)
	var enough error
	for e, err := range client.Root(o.root).List(ctx, appclient.ListOptions{Prefix: o.prefix}) {
		if err != nil {
			return err
		}
		if enough = count(); enough != nil {
			break
		}
		line := listed{Root: o.root, Path: e.Path, Version: e.Version, Size: e.Size}
		expires := "-"
		if !e.Expires.IsZero() {
			line.Expires, expires = e.Expires.UnixMilli(), e.Expires.UTC().Format(time.RFC3339)
		}
		if o.output == formatTable {
			t.AppendRow([]any{orDash(e.Path), e.Version, e.Size, expires})
		} else if err := writeJSON(env.Stdout, line); err != nil {
			return err
		}
	}
	if o.output == formatTable {
		t.Render()
	}
	return enough
}
