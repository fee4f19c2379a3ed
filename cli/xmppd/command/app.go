// Package command holds the commands of xmppd, so that other binaries can carry them.
package command

import (
	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/xmppd"
)

// App is the command line of xmppd.
func App() *cli.App {
	return &cli.App{
		Name:                  "xmppd",
		Usage:                 "an XMPP server",
		Version:               xmppd.Version,
		EnableBashCompletion:  true,
		Commands:              onWrongFlag([]*cli.Command{serve(), user(), roster(), clusterCommand()}),
		Action:                unknownCommand,
		OnUsageError:          wrongFlag,
		CustomAppHelpTemplate: cli.AppHelpTemplate + exitHelp,
		// Errors are returned to main, which prints them once.
		ExitErrHandler: func(*cli.Context, error) {},
	}
}
