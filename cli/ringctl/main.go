// Command ringctl starts, watches and changes RosterDB clusters. `ringctl
// --help` tells what it can do; docs/ringctl.md is its reference.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/rosterdb/rosterdb/cli/ringctl/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.Run(ctx, command.System(), os.Args)
	stop()
	os.Exit(code)
}
