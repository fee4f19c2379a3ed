package command

import (
	datanode "github.com/rosterdb/rosterdb/cli/datanode/command"
	xmppd "github.com/rosterdb/rosterdb/cli/xmppd/command"
	"github.com/urfave/cli/v2"
)

// xmppdCommand and datanodeCommand carry the two servers inside ringctl, so
// that a development cluster needs one binary only (ADR 0006).

func xmppdCommand() *cli.Command    { return embedded("xmppd", "xmppd.md", xmppd.App) }
func datanodeCommand() *cli.Command { return embedded("datanode", "operations.md", datanode.App) }

func embedded(name, doc string, app func() *cli.App) *cli.Command {
	return &cli.Command{
		Name:            name,
		Usage:           "the program of that name, as dev up starts it (docs/" + doc + ")",
		SkipFlagParsing: true,
		Action: func(c *cli.Context) error {
			a := app()
			a.ExitErrHandler = func(*cli.Context, error) {} // Run decides
			return a.RunContext(c.Context, append([]string{"ringctl " + name}, c.Args().Slice()...))
		},
	}
}
