// Package command holds the commands of the datanode program, so that ringctl
// can carry them as well.
package command

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/internal/version"
)

// App is the datanode program.
func App() *cli.App {
	return &cli.App{
		Name:    "datanode",
		Usage:   "hold replicas of partitions and serve them over XMPP",
		Version: version.Version,
		Description: `A data node logs in to an XMPP server with an account of its own, announces
itself by presence and waits until an operator makes it part of a cluster (ringctl
bootstrap makes a new one, ringctl join takes it into one that there is). It only dials out; it listens on no port.`,
		Commands:       []*cli.Command{runCommand(), identityCommand()},
		ExitErrHandler: func(*cli.Context, error) {}, // main decides, see Outcome
		OnUsageError:   usageError,
		CommandNotFound: func(c *cli.Context, name string) {
			_ = cli.ShowAppHelp(c) // the help is all there is to say
		},
	}
}

// usageError keeps urfave/cli from printing a page of help around one mistake.
func usageError(c *cli.Context, err error, _ bool) error {
	return usage(fmt.Sprintf("%v; see %s --help", err, c.Command.HelpName))
}
