package command

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/cli/ringctl/demo"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

type devUpOptions struct {
	cluster devcluster.Options
	output  format
}

func devUpCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "up",
		Usage: "start a cluster, wait until it is healthy, and say how to reach it",
		Description: `Starts the processes, waits until every data node is available and every
partition has a leader, prints how to reach the cluster, and leaves it running.
In a directory of a cluster that was stopped it starts that one, with its data; where a
member has lost its disk it says so as ringctl status does.

The JSON (also kept in DIR/cluster.json) names the domain, the certificate
authority, the processes with their addresses and data directories, and
accounts: app and operator for the store; shop, an application that may do only what it
is granted; user1 and user2 for chat clients. A cluster that was stopped gets its ports
again, unless somebody else uses them.

   ringctl dev up --dir /tmp/ring -o json | jq -r .accounts.app.password
   ringctl dev up --dir /tmp/load --insecure-plaintext --registration open
   ringctl dev up --dir /tmp/ring --servers 3

   ringctl dev up --dir /tmp/ring --metrics
   curl $(jq -r .nodes[0].metrics /tmp/ring/cluster.json)/metrics`,
		Flags: []cli.Flag{
			dirFlag(),
			&cli.IntFlag{Name: "nodes", DefaultText: "3, or those of the cluster that was stopped", Usage: "`NUMBER` of data nodes"},
			&cli.IntFlag{Name: "servers", DefaultText: "1, or those of the cluster that was stopped", Usage: "`NUMBER` of XMPP servers, which are one for their users"},
			&cli.StringFlag{Name: "domain", Value: "localhost", Usage: "XMPP `DOMAIN`"},
			&cli.IntFlag{Name: "partitions", DefaultText: strconv.Itoa(ring.DefaultPartitions), Usage: "`NUMBER` of partitions of a new cluster"},
			&cli.IntFlag{Name: "replicas", DefaultText: "3, or the number of nodes if less", Usage: "`NUMBER` of copies of each partition"},
			&cli.IntFlag{Name: "base-port", DefaultText: "free ones are chosen", Usage: "first `PORT` used"},
			&cli.BoolFlag{Name: "metrics", Usage: "let each data node serve /metrics, /healthz and /debug/pprof/, on a port of its own"},
			&cli.StringFlag{Name: "registration", Value: "closed", Usage: "may anybody make an account (XEP-0077): `open|closed`"},
			&cli.StringFlag{Name: "server-config", Usage: "TOML `FILE` with further settings of the XMPP server (docs/xmppd.md)"},
			&cli.BoolFlag{Name: "insecure-plaintext", Usage: "take logins without TLS, and let the data nodes do without; for measurements"},
			&cli.DurationFlag{Name: "timeout", Value: time.Minute, Usage: "longest `TIME` until it is healthy"},
			outputFlag(),
		},
		Action: func(c *cli.Context) error {
			o, err := devUpOptionsOf(c)
			if err != nil {
				return err
			}
			return devUp(c.Context, env, o)
		},
	}
}

func devUpOptionsOf(c *cli.Context) (o devUpOptions, err error) {
	if err := wantArgs(c); err != nil {
		return o, err
	}
	if o.output, err = outputOf(c); err != nil {
		return o, err
	}
	dir, err := dirOf(c)
	if err != nil {
		return o, err
	}
	o.cluster = devcluster.Options{
		Dir:               dir,
		Domain:            c.String("domain"),
		Servers:           c.Int("servers"),
		Nodes:             c.Int("nodes"),
		Partitions:        c.Int("partitions"),
		Replicas:          c.Int("replicas"),
		BasePort:          c.Int("base-port"),
		InsecurePlaintext: c.Bool("insecure-plaintext"),
		Metrics:           c.Bool("metrics"),
		ServerConfig:      c.String("server-config"),
		StartTimeout:      c.Duration("timeout"),
	}
	for _, name := range []string{"nodes", "servers"} {
		if n := c.Int(name); c.IsSet(name) && n < 1 {
			return o, usageErrorf("--%s %d: choose 1 or more", name, n)
		}
	}
	switch r := c.String("registration"); r {
	case "open":
		o.cluster.OpenRegistration = true
	case "closed":
	default:
		return o, usageErrorf("registration %q; choose open or closed", r)
	}
	return o, nil
}

func devUp(ctx context.Context, env Env, o devUpOptions) error {
	o.cluster.Progress = func(step string) { fmt.Fprintln(env.Stderr, step) }
	c, err := devcluster.Start(ctx, o.cluster)
	if err != nil {
		return err
	}
	defer c.Detach()
	info := c.Info()
	warnOfLost(ctx, env, &info)
	if o.output == formatJSON {
		return writeJSON(env.Stdout, info)
	}
	printCluster(env, &info)
	app, user := info.Accounts["app"], info.Accounts["user1"]
	fmt.Fprintf(env.Stdout, `
export ROSTERDB_DEV=%[1]s

%[5]s status              # what the nodes say
%[5]s put --value 'two apples' cart/42 item/1
%[5]s where cart/42       # where that root object lives
%[5]s dev down --dir %[2]s

applications log in as %[3]s, chat clients as %[4]s;
passwords are in %[1]s
`, c.File(), o.cluster.Dir, app.JID, user.JID, demo.Program(""))
	return nil
}

// warnOfLost says what status says where a member of the ring is not there, or has lost its
// disk: the cluster serves without it, so it counts as started.
func warnOfLost(ctx context.Context, env Env, info *devcluster.Info) {
	s, err := devLook(ctx, info)
	switch {
	case err != nil:
		fmt.Fprintln(env.Stderr, "warning: it runs, but its status is not known:", err)
	case slices.ContainsFunc(s.Nodes, lostMember):
		fmt.Fprintln(env.Stderr, "warning:", s.verdict())
	}
}

// devLook is the status of a development cluster.
func devLook(ctx context.Context, info *devcluster.Info) (s *clusterStatus, err error) {
	cfg, err := info.Config("operator")
	if err != nil {
		return nil, err
	}
	conn := connection{xmpp: cfg, timeout: 10 * time.Second}
	err = withOperator(ctx, conn, func(ctx context.Context, op *admin.Client) (err error) {
		s, _, err = collect(ctx, op, conn, nil)
		return err
	})
	return s, err
}

// lostMember says whether a row of status is that of a member that cannot serve by itself again.
func lostMember(row nodeRow) bool {
	return row.Member != 0 && (row.Presence == "down" || row.State == wire.StateStranger)
}

func printCluster(env Env, info *devcluster.Info) {
	t := newTable(env.Stdout, "process", "pid", "addresses, or JID and data")
	for _, s := range info.Servers {
		t.AppendRow([]any{s.ID, s.PID, fmt.Sprintf("XMPP %s (STARTTLS), %s (TLS); HTTP %s", s.C2S, s.TLS, s.HTTP)})
	}
	for _, n := range info.Nodes {
		where := n.JID + "  " + n.Data
		if n.Metrics != "" {
			where += "  http://" + n.Metrics + "/metrics"
		}
		t.AppendRow([]any{n.ID, n.PID, where})
	}
	t.Render()
}
