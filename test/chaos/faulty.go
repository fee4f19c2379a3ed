package chaos

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/rosterdb/rosterdb/cli/ringctl/command"
	"github.com/rosterdb/rosterdb/datanode"
	"github.com/rosterdb/rosterdb/replication"
)

// Plant names a mistake that a run must notice.
type Plant string

// The mistakes. LyingDisk is one of the disks, the others are of the data nodes.
const (
	NoPlant        Plant = ""
	LyingDisk      Plant = "lying-disk"       // a sync answers before anything is durable
	AckBeforeFsync Plant = "ack-before-fsync" // entries and votes are vouched for before they are durable
	NoDedupe       Plant = "no-dedupe"        // a repeated operation is executed again
	StaleUnbound   Plant = "stale-unbound"    // replicas answer from what they have, whatever age is allowed
)

// Plants lists all mistakes.
func Plants() []Plant { return []Plant{LyingDisk, AckBeforeFsync, NoDedupe, StaleUnbound} }

func (p Plant) inNode() bool { return p == AckBeforeFsync || p == NoDedupe || p == StaleUnbound }

// operatorTool is the subcommand that is ringctl.
const operatorTool = "ringctl"

// faultyNode is the subcommand of a data node with a mistake.
const faultyNode = "faulty-datanode"

// Child plays a process of the cluster if this program was started as one, and
// then doesn't return: programs that call Run call it first.
func Child() {
	if len(os.Args) < 2 {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch os.Args[1] {
	case "xmppd", "datanode":
		os.Exit(command.Run(ctx, command.System(), os.Args))
	case operatorTool:
		os.Exit(command.Run(ctx, command.System(), os.Args[1:]))
	case faultyNode:
		if err := runFaulty(ctx, Plant(os.Args[2]), os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// runFaulty is `datanode run` with a mistake; args are what devcluster gives.
func runFaulty(ctx context.Context, plant Plant, args []string) error {
	cfg := datanode.Config{
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Engine: func(c *replication.Config) {
			c.Faults.AckBeforeFsync = plant == AckBeforeFsync
			c.Faults.StaleBoundIgnored = plant == StaleUnbound
			c.State.Faults.NoDedupe = plant == NoDedupe
		},
	}
	flags := flag.NewFlagSet(faultyNode, flag.ContinueOnError)
	flags.StringVar(&cfg.Dir, "dir", "", "")
	flags.StringVar(&cfg.XMPP.JID, "jid", "", "")
	password := flags.String("password-file", "", "")
	ca := flags.String("ca", "", "")
	list := func(to *[]string) func(string) error {
		return func(v string) error { *to = append(*to, v); return nil }
	}
	flags.Func("addr", "", list(&cfg.XMPP.Addrs))
	flags.Func("operator", "", list(&cfg.Operators))
	flags.Func("app", "", list(&cfg.Apps))
	if err := flags.Parse(args[1:]); err != nil { // the first is "run"
		return err
	}
	secret, err := os.ReadFile(*password)
	if err != nil {
		return fmt.Errorf("read the password: %w", err)
	}
	pem, err := os.ReadFile(*ca)
	if err != nil {
		return fmt.Errorf("read the authorities: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return errors.New("no certificate in " + *ca)
	}
	cfg.XMPP.Password = strings.TrimSpace(string(secret))
	cfg.XMPP.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return datanode.Run(ctx, cfg)
}
