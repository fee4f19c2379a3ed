package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/internal/trim"
	"github.com/rosterdb/rosterdb/xmppd"
)

func serve() *cli.Command {
	d := xmppd.Defaults()
	return &cli.Command{
		Name:  "serve",
		Usage: "run the server until it is told to end (SIGINT, SIGTERM); SIGHUP reads configuration and certificates again",
		Description: `To try it on this machine, with two accounts and no certificate of its own:

   xmppd user add --data ./xmpp --domain example.net alice
   xmppd user add --data ./xmpp bob
   xmppd serve --domain example.net --data ./xmpp

Clients have to trust ./xmpp/self-signed.crt then. In earnest: --tls-cert and --tls-key with a certificate that
names the domain, and a file with all other settings (limits, extensions, sources of users), --config FILE.
docs/xmppd.md lists its keys.

Several servers serve one domain as one: the file of each has a table [cluster], with listen (an address for the others, UDP
and TCP), name, join (addresses of some others), key_file (a shared key, as ` + "`openssl rand -base64 32`" + ` writes it), and ca, cert and key
(a certificate in that name, of an authority for nothing else). The first has found = true, once. What they keep is on three
of them, in DIR/cluster; a server takes clients when it reaches a majority of those. ` + "`xmppd cluster status`" + ` shows them.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Usage: "TOML `FILE` with the same settings; flags win over it"},
			&cli.StringFlag{Name: "domain", Usage: "the `DOMAIN` to serve; required"},
			&cli.StringFlag{Name: "data", Usage: "`DIR` of accounts and all that is kept for them (default: " + d.Data + ")"},
			&cli.StringFlag{Name: "listen-c2s", Usage: "`HOST:PORT` for clients that use STARTTLS; \"\": off (default: " + d.ListenC2S + ")"},
			&cli.StringFlag{Name: "listen-tls", Usage: "`HOST:PORT` for clients that use TLS from the first byte; \"\": off (default: " + d.ListenTLS + ")"},
			&cli.StringFlag{Name: "listen-component", Usage: "`HOST:PORT` for external components (XEP-0114), in the clear"},
			&cli.StringSliceFlag{Name: "component", Usage: "`NAME=SECRET` of a component that may connect; again for more. Others can see it in the list of processes: the file's [[component]] takes a secret_file"},
			&cli.StringFlag{Name: "listen-http", Usage: "`HOST:PORT` for web clients (/ws, /bosh), /healthz and /metrics"},
			&cli.StringFlag{Name: "listen-https", Usage: "`HOST:PORT` for the same through TLS"},
			&cli.StringFlag{Name: "tls-cert", Usage: "certificate chain, a PEM `FILE` (default: a self-signed one in --data)"},
			&cli.StringFlag{Name: "tls-key", Usage: "private key, a PEM `FILE`"},
			&cli.StringFlag{Name: "registration", Usage: "may strangers make accounts: `open|closed` (default: " + d.Registration + ")"},
			&cli.BoolFlag{Name: "insecure-plaintext", Usage: "allow login without TLS; only with loopback listeners"},
			&cli.StringFlag{Name: "log-level", Usage: "`debug|info|warn|error` (default: " + d.LogLevel + ")"},
			&cli.StringFlag{Name: "log-format", Usage: "`text|json` (default: " + d.LogFormat + ")"},
		},
		Action: func(c *cli.Context) error {
			cfg, err := configOf(c)
			if err != nil {
				return usage(err)
			}
			level := new(slog.LevelVar)
			log, err := logger(c.App.ErrWriter, &cfg, level)
			if err != nil {
				return usage(err)
			}
			if err := cfg.Check(); err != nil {
				return usage(err)
			}
			return run(c, cfg, log, level)
		},
	}
}

// configOf composes defaults, file and flags, later ones winning.
func configOf(c *cli.Context) (xmppd.Config, error) {
	cfg := xmppd.Defaults()
	if path := c.String("config"); path != "" {
		if err := cfg.ReadFile(path); err != nil {
			return cfg, err
		}
	}
	if c.Args().Present() {
		return cfg, fmt.Errorf("serve takes no arguments, only flags; %q is neither", c.Args().First())
	}
	for name, to := range map[string]*string{
		"domain": &cfg.Domain, "data": &cfg.Data, "listen-c2s": &cfg.ListenC2S,
		"listen-tls": &cfg.ListenTLS, "listen-http": &cfg.ListenHTTP, "listen-https": &cfg.ListenHTTPS,
		"listen-component": &cfg.ListenComponent,
		"tls-cert":         &cfg.TLSCert, "tls-key": &cfg.TLSKey, "registration": &cfg.Registration,
		"log-level": &cfg.LogLevel, "log-format": &cfg.LogFormat,
	} {
		if c.IsSet(name) {
			*to = c.String(name)
		}
	}
	for _, s := range c.StringSlice("component") {
		component, err := xmppd.ParseComponent(s)
		if err != nil {
			return cfg, err
		}
		cfg.Components = append(cfg.Components, component)
	}
	if c.IsSet("insecure-plaintext") {
		cfg.InsecurePlaintext = c.Bool("insecure-plaintext")
	}
	return cfg, nil
}

func logger(w io.Writer, cfg *xmppd.Config, level *slog.LevelVar) (*slog.Logger, error) {
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		return nil, fmt.Errorf("log level is debug, info, warn or error, not %q", cfg.LogLevel)
	}
	opt := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opt)), nil
	}
	return slog.New(slog.NewTextHandler(w, opt)), nil
}

// trimEvery is how often the server looks whether it is quiet and has memory to give back.
const trimEvery = 2 * time.Second

func run(c *cli.Context, cfg xmppd.Config, log *slog.Logger, level *slog.LevelVar) error {
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)
	s, err := xmppd.Start(ctx, cfg, xmppd.Options{Log: log, Level: level})
	var wrong *xmppd.ConfigError
	if errors.As(err, &wrong) {
		return usage(err)
	}
	if errors.Is(err, xmppd.ErrStopped) {
		log.Info(xmppd.ErrStopped.Error())
		return nil
	}
	if err != nil {
		return err
	}
	var trimming sync.WaitGroup
	trimming.Go(func() { trim.Run(ctx, trimEvery, trim.Heap{}) })
	var failed error
	for running := true; running; {
		select {
		case <-again:
			if err := reload(ctx, c, s); err != nil {
				log.Error("the configuration stays as it was", "error", err)
			}
		case <-ctx.Done():
			log.Info("shutting down")
			running = false
		case failed = <-s.Failed():
			running = false
		}
	}
	stop()
	trimming.Wait()
	if err := s.Close(); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	log.Info("stopped")
	return failed
}

// reload reads the file again; flags still win over it.
func reload(ctx context.Context, c *cli.Context, s *xmppd.Server) error {
	cfg, err := configOf(c)
	if err != nil {
		return err
	}
	return s.Reload(ctx, cfg)
}
