package command

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/cli/ringctl/backup"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

const objectHelp = `
ROOT is the name of a root object, PATH that of an object within it; without PATH it is the
root object itself. Names that begin with - stand behind --, as in: get -- -root. Exit code 6: there is no such object; 7: a condition did not hold, and
nothing was written; 8: the outcome is unknown, and the write may have been applied; 9: the
account has no grant for that, and nothing was done. An operator may use every object, another
account (--jid) what it has been granted.
`

// objectOptions is what get, put and delete have in common.
type objectOptions struct {
	conn       connection
	output     format
	root, path string
}

func objectOptionsOf(c *cli.Context, env Env) (o objectOptions, err error) {
	args, err := names(c, 1, "a root, and a path unless the root object is meant")
	if err != nil {
		return o, err
	}
	if len(args) > 2 {
		return o, usageErrorf("%s takes a root and a path, and got %d arguments; quote names with spaces", c.Command.Name, len(args))
	}
	o.root = args[0]
	if len(args) == 2 {
		o.path = args[1]
	}
	if err := errors.Join(op.CheckRoot(o.root), op.CheckPath(o.path)); err != nil {
		return o, usageErrorf("%w", err)
	}
	if o.output, err = outputOf(c); err != nil {
		return o, err
	}
	o.conn, err = connectionOf(c, env)
	return o, err
}

// withStore logs in as a client of the store, and gives do the connection's
// timeout for all that it does.
func withStore(ctx context.Context, conn connection, do func(context.Context, *appclient.Client) error) error {
	return withClient(ctx, conn, func(ctx context.Context, client *appclient.Client) error {
		ctx, cancel := context.WithTimeout(ctx, conn.timeout)
		defer cancel()
		return do(ctx, client)
	})
}

// withClient is withStore for what may take as long as it gets on.
func withClient(ctx context.Context, conn connection, do func(context.Context, *appclient.Client) error) error {
	client, err := dialStore(ctx, conn)
	if err != nil {
		return notDialled(conn, err)
	}
	defer client.Close() //nolint:errcheck // it always returns nil
	return objectError(do(ctx, client))
}

// notDialled gives the error of a dial its exit code. Who is logged in and has no rights is denied, as at any operation.
func notDialled(conn connection, err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return notReached(conn, err)
	case errors.Is(err, appclient.ErrDenied) && !errors.Is(err, xmppconn.ErrAuth):
		return &codeError{ExitDenied, fmt.Errorf("denied: %s has no grant for anything in this store, and is neither an operator nor one of its applications: see `ringctl access grant --help`", conn.xmpp.JID)}
	}
	return unreachable(fmt.Errorf("log in as %s: %w", conn.xmpp.JID, err))
}

// objectError gives an error of the store its exit code.
func objectError(err error) error {
	code := func(code int) error { return &codeError{code, err} }
	switch {
	case err == nil:
		return nil
	case errors.Is(err, appclient.ErrNotFound):
		return code(ExitNotFound)
	case errors.Is(err, appclient.ErrConflict):
		return code(ExitConflict)
	case errors.Is(err, appclient.ErrUnknownOutcome): // also after ctrl-C: that it may be there is what counts
		return code(ExitUnknown)
	case errors.Is(err, appclient.ErrDenied):
		return code(ExitDenied)
	case errors.Is(err, appclient.ErrInvalid):
		return code(ExitUsage)
	case errors.Is(err, appclient.ErrUnavailable), errors.Is(err, appclient.ErrOverloaded):
		return unreachable(err)
	}
	return err
}

// objectLine is an object as the files of export have it.
func objectLine(o *appclient.Object) *backup.Object {
	line := &backup.Object{Root: o.Root, Path: o.Path, Version: o.Version}
	line.SetValue(o.Value)
	for _, r := range o.Refs {
		line.Refs = append(line.Refs, backup.Ref{Root: r.Root, Path: r.Path})
	}
	if !o.Expires.IsZero() {
		line.Expires = o.Expires.UnixMilli()
	}
	return line
}

// conditionFlags are those of put and delete.
func conditionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.Uint64Flag{Name: "if-version", DefaultText: "no such condition", Usage: "only if the object has this `VERSION`; 0: only if there is none"},
		&cli.BoolFlag{Name: "if-present", Usage: "only if the object is there"},
	}
}

// conditionOf is the condition that the flags name; the zero value without one.
func conditionOf(c *cli.Context) (appclient.MutationOption, error) {
	var all []appclient.MutationOption
	if c.IsSet("if-version") {
		all = append(all, appclient.IfVersion(c.Uint64("if-version")))
	}
	if c.Bool("if-present") {
		all = append(all, appclient.IfPresent())
	}
	if c.Bool("if-absent") {
		all = append(all, appclient.IfAbsent())
	}
	switch len(all) {
	case 0:
		return appclient.MutationOption{}, nil
	case 1:
		return all[0], nil
	}
	return appclient.MutationOption{}, usageErrorf("%s has %d conditions; choose one", c.Command.Name, len(all))
}
