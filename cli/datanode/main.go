// Command datanode is a data node of RosterDB: an XMPP client that holds
// replicas of partitions.
package main

import (
	"fmt"
	"os"

	"github.com/rosterdb/rosterdb/cli/datanode/command"
)

func main() {
	err := command.App().Run(os.Args)
	code, text := command.Outcome(err)
	if text != "" {
		fmt.Fprintln(os.Stderr, "datanode: "+text)
	}
	os.Exit(code)
}
