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
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	// A terminal that is closed ends the work like ctrl-C, except under nohup. To the XMPP server the
	// signal says that the configuration has changed.
	server := len(os.Args) > 1 && os.Args[1] == "xmppd"
	if !server && !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	code := command.Run(ctx, command.System(), os.Args)
	stop()
	os.Exit(code)
}
