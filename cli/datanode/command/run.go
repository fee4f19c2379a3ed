package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/datanode"
	"github.com/rosterdb/rosterdb/internal/procs"
	"github.com/rosterdb/rosterdb/internal/trim"
	"github.com/rosterdb/rosterdb/internal/version"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

const passwordVar = "ROSTERDB_PASSWORD"

func runCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "log in and serve until told to stop (SIGINT, SIGTERM)",
		UsageText: "datanode run --dir DIR --jid dn1@example.org --password-file FILE --operator JID --app JID",
		Description: "The password is read from --password-file or from the environment variable\n" +
			passwordVar + ", never from the command line." + "\n" + exitHelp,
		OnUsageError: usageError,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "dir", Usage: "data `DIRECTORY`; made when it does not exist"},
			&cli.StringFlag{Name: "jid", Usage: "account of this node, a bare `JID`"},
			&cli.StringFlag{Name: "password-file", Usage: "`FILE` with the account's password"},
			&cli.StringSliceFlag{Name: "addr", Usage: "`HOST:PORT` of an XMPP server; may be repeated: the node keeps streams to two of them; without, DNS is asked"},
			&cli.BoolFlag{Name: "direct-tls", Usage: "TLS from the first byte (XEP-0368) instead of STARTTLS"},
			&cli.StringFlag{Name: "ca", Usage: "PEM `FILE` with the authorities to trust instead of the system's"},
			&cli.BoolFlag{Name: "insecure-plaintext", Usage: "log in without TLS; loopback addresses only"},
			&cli.StringSliceFlag{Name: "operator", Usage: "`JID` that may administer, or *@domain; may be repeated"},
			&cli.StringSliceFlag{Name: "app", Usage: "`JID` that may read and write, or *@domain; may be repeated"},
			&cli.StringFlag{Name: "zone", Usage: "failure domain of this machine, as a `NAME`"},
			&cli.StringFlag{Name: "disk-reserve", Usage: "`SIZE` to keep free, as 512MiB: with less, writes are refused (default: 256MiB or 1% of the file system, whichever is smaller)"},
			&cli.DurationFlag{Name: "scrub-every", Value: 24 * time.Hour, Usage: "`TIME` in which each partition is compared once with its replicas; 0: never"},
			&cli.StringFlag{Name: "listen-metrics", Usage: "`HOST:PORT` for /metrics (Prometheus) and /healthz, in the clear; keep it on loopback or a private network (default: off)"},
			&cli.BoolFlag{Name: "pprof", Usage: "let --listen-metrics serve profiles, too, at /debug/pprof/ (see go tool pprof); they show what is in memory (default: off)"},
			&cli.StringFlag{Name: "log-level", Value: "info", Usage: "`LEVEL`: debug, info, warn or error"},
		},
		Action: func(c *cli.Context) error {
			cfg, err := configOf(c)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return withCode(serve(ctx, cfg))
		},
	}
}

// How a data node uses memory and processors, unless the environment says otherwise
// (GOGC, GOMAXPROCS): as few threads as it needs (package procs); memory grows to
// three times what is alive before garbage is collected, which saves a tenth of the
// CPU time of writes, but not by more than garbage or a quarter, and what a burst has used is given back.
const (
	collectAt = 200       // percent of what is alive
	garbage   = 128 << 20 // bytes
	trimEvery = 2 * time.Second
)

func serve(ctx context.Context, cfg datanode.Config) error {
	heap := trim.Heap{Percent: collectAt, Garbage: garbage}
	if os.Getenv("GOGC") != "" {
		heap = trim.Heap{}
	}
	careCtx, stop := context.WithCancel(ctx)
	var care sync.WaitGroup
	care.Go(func() { trim.Run(careCtx, trimEvery, heap) })
	if os.Getenv("GOMAXPROCS") == "" {
		care.Go(func() { procs.Run(careCtx) })
	}
	err := datanode.Run(ctx, cfg)
	stop()
	care.Wait()
	return err
}

func configOf(c *cli.Context) (cfg datanode.Config, err error) {
	if c.NArg() > 0 {
		return cfg, usage(fmt.Sprintf("unexpected argument %q; datanode run takes flags only", c.Args().First()))
	}
	for _, name := range []string{"dir", "jid"} {
		if c.String(name) == "" {
			return cfg, usage("--" + name + " is missing; see datanode run --help")
		}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return cfg, usage(fmt.Sprintf("--log-level %q: use debug, info, warn or error", c.String("log-level")))
	}
	if c.Bool("pprof") && c.String("listen-metrics") == "" {
		return cfg, usage("--pprof needs an address: add --listen-metrics 127.0.0.1:9100")
	}
	cfg = datanode.Config{
		Dir: c.String("dir"),
		XMPP: xmppconn.Config{
			JID:               c.String("jid"),
			Addrs:             c.StringSlice("addr"),
			DirectTLS:         c.Bool("direct-tls"),
			InsecurePlaintext: c.Bool("insecure-plaintext"),
		},
		ListenMetrics: c.String("listen-metrics"),
		Profiles:      c.Bool("pprof"),
		Zone:          c.String("zone"),
		Operators:     c.StringSlice("operator"),
		Apps:          c.StringSlice("app"),
		Version:       version.Version,
		Logger:        slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: level})),
	}
	if cfg.ScrubEvery = c.Duration("scrub-every"); cfg.ScrubEvery <= 0 {
		cfg.ScrubEvery = -1
	}
	if cfg.DiskReserve, err = parseSize(c.String("disk-reserve")); err != nil {
		return cfg, usage("--disk-reserve " + err.Error())
	}
	if cfg.XMPP.Password, err = password(c.String("password-file")); err != nil {
		return cfg, err
	}
	if file := c.String("ca"); file != "" {
		if cfg.XMPP.TLS, err = trust(file); err != nil {
			return cfg, err
		}
	}
	return cfg, nil
}

// password reads the account's password; a line end behind it is not part of it.
func password(file string) (string, error) {
	if file == "" {
		if p, ok := os.LookupEnv(passwordVar); ok && p != "" {
			return p, nil
		}
		return "", usage("no password: name a file with --password-file or set " + passwordVar)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", coded{fmt.Errorf("read the password: %w", err), ExitIdentity}
	}
	p := strings.TrimRight(string(b), "\r\n")
	if p == "" {
		return "", coded{fmt.Errorf("the password file %s is empty", file), ExitIdentity}
	}
	return p, nil
}

func trust(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, coded{fmt.Errorf("read the certificate authorities: %w", err), ExitIdentity}
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, coded{fmt.Errorf("%s holds no certificate in PEM form", file), ExitIdentity}
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
