// Command xmppd is an XMPP server. See docs/xmppd.md.
package main

import (
	"fmt"
	"os"

	"github.com/rosterdb/rosterdb/cli/xmppd/command"
)

func main() {
	if err := command.App().Run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "xmppd:", err)
		os.Exit(command.ExitCode(err))
	}
}
