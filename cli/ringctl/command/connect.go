package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/urfave/cli/v2"
)

// connection says which cluster a command talks to, and as whom.
type connection struct {
	xmpp    xmppconn.Config
	timeout time.Duration
	dir     string // of the development cluster that it is; empty: none is named
}

const connectionHelp = `
Which cluster: --dev names the JSON of a development cluster (default: the file
named by ROSTERDB_DEV); or --jid and --password-file (or ROSTERDB_PASSWORD) of an
operator, with --addr and --ca where DNS and the system's authorities don't do. They
may stand in ROSTERDB_JID, ROSTERDB_PASSWORD_FILE, ROSTERDB_ADDR and ROSTERDB_CA.`

// The variables that name a cluster.
const (
	devVar = "ROSTERDB_DEV"
	jidVar = "ROSTERDB_JID"
)

func connectionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "dev", Usage: "`FILE` with the JSON of ringctl dev up", EnvVars: []string{devVar}},
		&cli.StringFlag{Name: "jid", Usage: "operator's `JID`, as operator@example.org", EnvVars: []string{jidVar}},
		&cli.StringFlag{Name: "password-file", Usage: "`FILE` that holds the operator's password", EnvVars: []string{"ROSTERDB_PASSWORD_FILE"}},
		&cli.StringSliceFlag{Name: "addr", Usage: "`HOST:PORT` of an XMPP server; may be repeated, or list several with commas", EnvVars: []string{"ROSTERDB_ADDR"}},
		&cli.StringFlag{Name: "ca", Usage: "PEM `FILE` of the authority that signed the server's certificate", EnvVars: []string{"ROSTERDB_CA"}},
		&cli.BoolFlag{Name: "direct-tls", Usage: "TLS from the first byte (XEP-0368) instead of STARTTLS"},
		&cli.BoolFlag{Name: "insecure-plaintext", Usage: "no TLS; loopback only"},
		&cli.DurationFlag{Name: "timeout", Value: 10 * time.Second, Usage: "longest `TIME` to wait for the cluster"},
	}
}

func connectionOf(c *cli.Context, env Env) (connection, error) {
	conn := connection{timeout: c.Duration("timeout")}
	jid, file := c.String("jid"), c.String("dev")
	if jid != "" && file != "" {
		// What is typed here and now counts, not what a variable says.
		jidTyped, devTyped := jid != env.Getenv(jidVar), file != env.Getenv(devVar)
		if jidTyped == devTyped {
			return conn, usageErrorf("which cluster, that of %s or that of %s? name one of them: --dev (%s), or --jid (%s)", file, jid, devVar, jidVar)
		}
		if devTyped {
			jid = ""
		}
	}
	if jid == "" {
		if file == "" {
			return conn, usageErrorf("which cluster? name it with --dev FILE (or ROSTERDB_DEV), or with --jid and --password-file")
		}
		info, err := devcluster.Load(file)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return conn, noFile(err)
			}
			return conn, unreachable(err)
		}
		conn.dir = filepath.Dir(file)
		conn.xmpp, err = info.Config("operator")
		return conn, err
	}
	if j, err := stanza.ParseJID(jid); err != nil || j.Local == "" {
		return conn, usageErrorf("--jid %q: write the JID of an account, as operator@example.org", jid)
	}
	conn.xmpp = xmppconn.Config{
		JID:               jid,
		Addrs:             addresses(c.StringSlice("addr")),
		DirectTLS:         c.Bool("direct-tls"),
		InsecurePlaintext: c.Bool("insecure-plaintext"),
	}
	for _, addr := range conn.xmpp.Addrs {
		if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
			return conn, usageErrorf("--addr %q: write HOST:PORT, as 127.0.0.1:5222", addr)
		}
	}
	var err error
	if conn.xmpp.Password, err = passwordOf(c.String("password-file"), env); err != nil {
		return conn, err
	}
	if ca := c.String("ca"); ca != "" {
		conn.xmpp.TLS, err = trust(ca)
	}
	return conn, err
}

// passwordOf reads the operator's password. It is no flag: command lines can be
// read by every user of the machine.
func passwordOf(file string, env Env) (string, error) {
	if file == "" {
		if p := env.Getenv("ROSTERDB_PASSWORD"); p != "" {
			return p, nil
		}
		return "", usageErrorf("no password; name a file that holds it with --password-file, or set ROSTERDB_PASSWORD")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", noFile(fmt.Errorf("read the password: %w", err))
	}
	p := strings.TrimRight(string(b), "\r\n")
	if p == "" {
		return "", usageErrorf("%s is empty; it has to hold the password", file)
	}
	return p, nil
}

func trust(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, noFile(fmt.Errorf("read the certificate authority: %w", err))
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, usageErrorf("%s holds no certificate in PEM form", file)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// notReached says on one line why there is no login, and what to do. Errors of
// several addresses come on a line each.
func notReached(conn connection, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, xmppconn.ErrAuth) || errors.Is(err, xmppconn.ErrPolicy) {
		return unreachable(fmt.Errorf("log in as %s: %w", conn.xmpp.JID, err))
	}
	todo := "check --addr, and that the XMPP server runs"
	if conn.dir != "" {
		todo = fmt.Sprintf("start it with `ringctl dev restart --dir %[1]s x1`, or, if nothing of the cluster runs, all of it with `ringctl dev up --dir %[1]s`", conn.dir)
	}
	return unreachable(fmt.Errorf("the XMPP server cannot be reached: %s; %s", oneLine(err), todo))
}

// nobodyListens is an error if each of the addresses refuses connections: a client of the
// store goes on trying, and waiting for its deadline would only hide that.
func nobodyListens(ctx context.Context, addrs []string) (err error) {
	for _, addr := range addrs {
		var d net.Dialer
		conn, failed := d.DialContext(ctx, "tcp", addr)
		if failed == nil {
			return conn.Close()
		}
		if !errors.Is(failed, syscall.ECONNREFUSED) {
			return nil // the client finds out
		}
		err = errors.Join(err, failed)
	}
	return err
}

// otherDomain is an error if that of a login says that the server there serves
// another domain than that of --jid: waiting would not change it. The XMPP library
// tells it in words only.
func otherDomain(conn connection, err error) error {
	_, text, ok := strings.Cut(err.Error(), "stream location ")
	if !ok {
		return nil
	}
	served, wanted, ok := strings.Cut(oneLine(errors.New(text)), " does not match previously set location ")
	if !ok {
		return nil
	}
	wanted, _, _ = strings.Cut(wanted, ";")
	who := "it"
	if len(conn.xmpp.Addrs) > 0 {
		who = strings.Join(conn.xmpp.Addrs, ", ")
	}
	return fmt.Errorf("%w: %s serves %s, not %s; check --jid", errOtherDomain, who, served, wanted)
}

// errOtherDomain ends a login: see otherDomain.
var errOtherDomain = errors.New("the server is another domain's")

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// asOperator runs do logged in as the flags say.
func asOperator(c *cli.Context, env Env, do func(ctx context.Context, op *admin.Client, conn connection, out format) error) error {
	out, err := outputOf(c)
	if err != nil {
		return err
	}
	conn, err := connectionOf(c, env)
	if err != nil {
		return err
	}
	return withOperator(c.Context, conn, func(ctx context.Context, op *admin.Client) error { return do(ctx, op, conn, out) })
}

// withOperator logs in, runs do, and logs out.
func withOperator(ctx context.Context, conn connection, do func(context.Context, *admin.Client) error) error {
	login, cancel := context.WithTimeoutCause(ctx, conn.timeout, fmt.Errorf("no login within %v", conn.timeout))
	defer cancel()
	login, giveUp := context.WithCancelCause(login)
	defer giveUp(nil)
	conn.xmpp.OnRetry = func(err error, _ time.Duration) {
		// Nobody listens there: waiting would only hide it.
		if errors.Is(err, syscall.ECONNREFUSED) {
			giveUp(err)
		}
		if err := otherDomain(conn, err); err != nil {
			giveUp(err)
		}
	}
	op, err := admin.Connect(login, conn.xmpp)
	if cause := context.Cause(login); err != nil && errors.Is(cause, errOtherDomain) {
		return unreachable(cause)
	}
	if err != nil {
		return notReached(conn, err)
	}
	defer op.Close()
	return do(ctx, op)
}

// addresses are those given one by one, or several with commas between, as the environment has them.
func addresses(given []string) (all []string) {
	for _, g := range given {
		all = append(all, strings.Split(g, ",")...)
	}
	return all
}
