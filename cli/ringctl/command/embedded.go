package command

import (
	datanode "github.com/rosterdb/rosterdb/cli/datanode/command"
	xmppd "github.com/rosterdb/rosterdb/cli/xmppd/command"
	"github.com/urfave/cli/v2"
)

// xmppdCommand and datanodeCommand carry the two servers inside ringctl, so
// that a development cluster needs one binary only (ADR 0006). They are hidden:
// people use the binaries of those names.

func xmppdCommand() *cli.Command    { return embedded("xmppd", xmppd.App) }
func datanodeCommand() *cli.Command { return embedded("datanode", datanode.App) }

func embedded(name string, app func() *cli.App) *cli.Command {
	return &cli.Command{
		Name:            name,
		Hidden:          true,
		SkipFlagParsing: true,
		Action: func(c *cli.Context) error {
			a := app()
			a.ExitErrHandler = func(*cli.Context, error) {} // Run decides
			return a.RunContext(c.Context, append([]string{"ringctl " + name}, c.Args().Slice()...))
		},
	}
}
