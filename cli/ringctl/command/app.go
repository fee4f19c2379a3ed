// Package command holds ringctl's commands, one file each. A command is a
// function that returns its *cli.Command, an options struct filled from the
// flags, and a run function that knows nothing of flags.
package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/internal/version"
)

const description = `RosterDB is a sharded, replicated object store whose cluster is an XMPP roster.
ringctl starts, watches and changes such clusters.

See it work, with nothing to set up:
   ringctl demo

A cluster to develop against, and what it is doing:
   ringctl dev up --dir /tmp/ring
   export ROSTERDB_DEV=/tmp/ring/cluster.json
   ringctl status --watch
   ringctl put --value 'two apples' cart/42 item/1
   ringctl ls cart/42
   ringctl where cart/42
   ringctl dev down --dir /tmp/ring

Grow it, and shrink it again, while it serves:
   ringctl dev add dn4
   ringctl join dn4                    # writes a plan; nothing is changed
   ringctl commit join-e1-….plan.json
   ringctl progress --watch
   ringctl leave --yes --wait dn2

A cluster that exists is reached with --jid, --password-file, --addr and --ca;
the account must be one of its operators, or for get, put, delete and ls any that may.`

// Run executes a command line (args[0] is the program) and returns its exit
// code. Output goes to env.Stdout, errors as one line to env.Stderr. When ctx
// ends, everything that was started is stopped before Run returns.
func Run(ctx context.Context, env Env, args []string) int {
	app := newApp(env)
	app.Metadata = map[string]any{commandLine: args}
	err := app.RunContext(ctx, args)
	code, show := exitCode(err)
	if show {
		fmt.Fprintln(env.Stderr, "ringctl:", line(err))
	}
	return code
}

func newApp(env Env) *cli.App {
	usage := func(c *cli.Context, err error, _ bool) error {
		if name := commandName(c); name == c.App.Name {
			return usageErrorf("%w; flags stand behind the command: %s COMMAND [FLAGS] [ARGUMENTS]; see `%[2]s --help`", err, name)
		}
		if wantsUnit(c, err) {
			return usageErrorf("%w: a time has a unit, as 500ms, 5s or 2h; see `%s --help`", err, commandName(c))
		}
		return usageErrorf("%w; see `%s --help`", err, commandName(c))
	}
	app := &cli.App{
		Name:                      "ringctl",
		Usage:                     "start, watch and change RosterDB clusters",
		Version:                   version.Version,
		Description:               description,
		CustomAppHelpTemplate:     cli.AppHelpTemplate + exitCodesHelp + "\n",
		Writer:                    env.Stdout,
		ErrWriter:                 env.Stderr,
		ExitErrHandler:            func(*cli.Context, error) {}, // Run decides
		OnUsageError:              usage,
		EnableBashCompletion:      true,
		DisableSliceFlagSeparator: true,
		Commands: []*cli.Command{
			demoCommand(env),
			devCommand(env),
			statusCommand(env),
			whereCommand(env),
			getCommand(env),
			putCommand(env),
			deleteCommand(env),
			lsCommand(env),
			hotCommand(env),
			scrubCommand(env),
			backupCommand(env),
			restoreCommand(env),
			exportCommand(env),
			importCommand(env),
			bootstrapCommand(env),
			joinCommand(env),
			leaveCommand(env),
			replaceCommand(env),
			rebalanceCommand(env),
			commitCommand(env),
			progressCommand(env),
			pauseCommand(env),
			resumeCommand(env),
			cancelCommand(env),
			throttleCommand(env),
			indexCommand(env),
			accessCommand(env),
			simulateCommand(env),
			xmppdCommand(),
			datanodeCommand(),
		},
		Action: unknownCommand,
	}
	setUsage(app.Commands, usage)
	return app
}

// wantsUnit says whether an error of the flags' parser is about the value of a time.
func wantsUnit(c *cli.Context, err error) bool {
	_, rest, ok := strings.Cut(err.Error(), "for flag -")
	name, _, _ := strings.Cut(rest, ":")
	return ok && c.Command != nil && slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool {
		_, is := f.(*cli.DurationFlag)
		return is && slices.Contains(f.Names(), name)
	})
}

func setUsage(commands []*cli.Command, usage cli.OnUsageErrorFunc) {
	for _, c := range commands {
		c.OnUsageError = usage
		setUsage(c.Subcommands, usage)
	}
}

// shortName is a command without the program's name, as "access grant".
func shortName(c *cli.Context) string { return strings.TrimPrefix(commandName(c), "ringctl ") }

// unknownCommand is the action where only a subcommand makes sense.
func unknownCommand(c *cli.Context) error {
	if c.NArg() > 0 {
		return usageErrorf("no command %q; see `%s --help`", c.Args().First(), commandName(c))
	}
	return cli.ShowSubcommandHelp(c)
}

// wantArgs checks the number of arguments. Flags stand before them.
func wantArgs(c *cli.Context, names ...string) error {
	if c.NArg() == len(names) {
		return nil
	}
	if err := flagsFirst(c); err != nil {
		return err
	}
	if len(names) == 0 {
		return usageErrorf("%s takes no argument, and got %q", c.Command.Name, c.Args().First())
	}
	return usageErrorf("%s wants %d argument(s) %v, and got %d; see `%s --help`", c.Command.Name, len(names), names, c.NArg(), commandName(c))
}

// commandLine is where an app keeps the arguments of its process.
const commandLine = "command line"

// flagsFirst takes what begins with - for a flag in the wrong place, unless the
// arguments stand behind "--".
func flagsFirst(c *cli.Context) error {
	all, _ := c.App.Metadata[commandLine].([]string)
	if i := len(all) - c.NArg() - 1; i >= 0 && all[i] == "--" {
		return nil
	}
	for _, a := range c.Args().Slice() {
		if len(a) > 1 && a[0] == '-' {
			return usageErrorf("%s: flag %s comes after an argument; put flags first, and -- before all arguments if one of them begins with -: %s -- ARGUMENTS", c.Command.Name, a, commandName(c))
		}
	}
	return nil
}

// commandName is the command as typed, for example "ringctl dev up".
func commandName(c *cli.Context) string {
	if c.Command == nil || c.Command.HelpName == "" {
		return c.App.Name
	}
	return c.Command.HelpName
}
