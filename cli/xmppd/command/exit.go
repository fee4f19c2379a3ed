package command

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"
)

// The exit codes of xmppd.
const (
	ExitOK     = 0
	ExitFailed = 1 // what was asked for could not be done
	ExitUsage  = 2 // wrong flag, argument or configuration
)

const exitHelp = `
EXIT CODES:
   0  done, or stopped as asked
   1  could not be done; the message says why
   2  wrong flag, argument or configuration
`

// usageError is told with ExitUsage; it implements cli.ExitCoder so that a
// binary that carries these commands ends with it too.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }
func (e usageError) ExitCode() int { return ExitUsage }

var _ cli.ExitCoder = usageError{}

func usage(err error) error { return usageError{err} }

// noArguments refuses what stands behind the flags of a command that takes nothing there.
func noArguments(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage(fmt.Errorf("no argument is taken, but there is %q; see `%s --help`", c.Args().First(), c.Command.HelpName))
	}
	return nil
}

// wrongFlag is what the flag parser finds.
func wrongFlag(c *cli.Context, err error, _ bool) error {
	return usage(fmt.Errorf("%w; see `%s --help`", err, c.Command.HelpName))
}

// onWrongFlag makes wrongFlag tell of the flags of all commands.
func onWrongFlag(commands []*cli.Command) []*cli.Command {
	for _, c := range commands {
		c.OnUsageError = wrongFlag
		onWrongFlag(c.Subcommands)
	}
	return commands
}

// unknownCommand is the action where only a subcommand makes sense.
func unknownCommand(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage(fmt.Errorf("no command %q; see `%s --help`", c.Args().First(), c.Command.HelpName))
	}
	if len(c.Lineage()) > 2 { // the last one is no context of a command
		return cli.ShowSubcommandHelp(c)
	}
	return cli.ShowAppHelp(c)
}

// ExitCode is the code that an error of App ends the program with.
func ExitCode(err error) int {
	var coder cli.ExitCoder
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &coder):
		return coder.ExitCode()
	}
	return ExitFailed
}
