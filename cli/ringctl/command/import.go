package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/cli/ringctl/backup"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/ring"
)

const importHelp = `
The whole file is checked before anything is written; --dry-run does only that, and needs no
cluster. Objects that have expired since are left out, others keep their moment of expiry,
but for what writing each takes (milliseconds, up to some seconds where a node is down) and
the difference between this machine's clock and the cluster's. Of an object that a file
has twice the later one stays.
Versions and revisions begin anew. How far it came is kept in FILE.progress: after an
interruption the same command goes on there. FILE - is standard input, which is kept in a
temporary file meanwhile. Nobody else should write the same objects meanwhile.`

func importCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "write the objects of a file",
		ArgsUsage: "FILE",
		Description: `Writes the objects of a file of ringctl export or backup over what is there; other objects
stay as they are.
` + importHelp + fileHelp + `

A file of your own whose header names no cluster may leave the checksum out of its last
line; what it says of objects and bytes is checked all the same.

   ringctl import objects.jsonl
   ringctl export --dev old/cluster.json | ringctl import --dev new/cluster.json -
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(), dryRunFlag()),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "FILE"); err != nil {
				return err
			}
			return load(c, env, c.Args().First(), false)
		},
	}
}

func restoreCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "restore",
		Usage:     "fill an empty cluster from a backup",
		ArgsUsage: "FILE",
		Description: `Writes the objects of a backup into a cluster without objects, of any number of nodes and
partitions, and takes over its index definitions and grants: index definitions first, grants
last.
` + importHelp + fileHelp + `

   ringctl restore --dry-run monday.jsonl
   ringctl restore monday.jsonl
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(), dryRunFlag()),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "FILE"); err != nil {
				return err
			}
			return load(c, env, c.Args().First(), true)
		},
	}
}

func dryRunFlag() cli.Flag {
	return &cli.BoolFlag{Name: "dry-run", Usage: "check the file, and write nothing"}
}

// loaded is the JSON of import and restore; its fields are a contract with scripts.
type loaded struct {
	Objects int64 `json:"objects"` // of the file
	Skipped int64 `json:"skipped"` // written by an earlier try
	Expired int64 `json:"expired"`
	Bytes   int64 `json:"bytes"` // of values written now
	Indexes int   `json:"indexes"`
	Grants  int   `json:"grants"`
}

func load(c *cli.Context, env Env, file string, whole bool) error {
	out, err := outputOf(c)
	if err != nil {
		return err
	}
	dry := c.Bool("dry-run")
	var conn connection
	if !dry {
		if conn, err = connectionOf(c, env); err != nil {
			return err
		}
	}
	in, done, err := openObjects(env, file)
	if err != nil {
		return err
	}
	defer done()
	header, end, err := backup.Verify(in, !whole)
	if err != nil {
		return fmt.Errorf("nothing is written: read %s: %w", file, err)
	}
	if end.Unchecked {
		fmt.Fprintf(env.Stderr, "%s has no checksum: that nothing of it is damaged could not be verified\n", file)
	}
	if dry {
		if out == formatJSON {
			return writeJSON(env.Stdout, end)
		}
		_, err := fmt.Fprintf(env.Stdout, "%d objects, %s of values: all in order; nothing is written\n", end.Objects, bytesText(uint64(end.Bytes)))
		return err
	}
	if _, err := in.Seek(0, 0); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	var l loaded
	err = withOperator(c.Context, conn, func(ctx context.Context, operator *admin.Client) error {
		l, err = bring(ctx, env, conn, operator, source{in, file != "-"}, header, end, whole)
		return err
	})
	if err != nil {
		return err
	}
	if out == formatJSON {
		return writeJSON(env.Stdout, l)
	}
	_, err = fmt.Fprintf(env.Stdout, "%d objects: %d written before, %d expired; %s of values written now; %d indexes, %d grants\n",
		l.Objects, l.Skipped, l.Expired, bytesText(uint64(l.Bytes)), l.Indexes, l.Grants)
	return err
}

// source is an open file of objects.
type source struct {
	*os.File
	named bool // it can be read again, so that an interrupted try can go on
}

// openObjects opens a file of objects. Standard input is copied to a temporary file
// first: it is read twice, to check it and to write it. done closes, and removes that.
func openObjects(env Env, file string) (in *os.File, done func(), err error) {
	if file != "-" {
		if in, err = os.Open(file); err != nil {
			return nil, nil, noFile(fmt.Errorf("read %s: %w", file, err))
		}
		return in, func() { _ = in.Close() }, nil // only read
	}
	if in, err = os.CreateTemp("", "ringctl-*.jsonl"); err != nil {
		return nil, nil, fmt.Errorf("keep standard input: %w", err)
	}
	done = func() {
		_ = in.Close()
		_ = os.Remove(in.Name()) // the system empties that directory at last
	}
	_, err = io.Copy(in, env.Stdin)
	if err == nil {
		_, err = in.Seek(0, 0)
	}
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("keep standard input: %w; set TMPDIR to a directory with room for it", err)
	}
	return in, done, nil
}

// bring writes a file that was verified.
func bring(ctx context.Context, env Env, conn connection, operator *admin.Client, in source, header backup.Header, end backup.Trailer, whole bool) (loaded, error) {
	l := loaded{Objects: end.Objects}
	doc, err := operator.Ring(ctx)
	if err != nil {
		return l, unreachable(err)
	}
	if whole {
		if err := doc.CheckCatalog(header.Indexes, header.Access); err != nil {
			return l, fmt.Errorf("nothing is written: beside what the cluster has: %w", err)
		}
	}
	mark := checkpoint{Checksum: end.Checksum, Cluster: doc.Cluster}
	if in.named {
		mark.file = in.Name() + ".progress"
	}
	begun := false
	if l.Skipped, begun, err = mark.read(); err != nil {
		return l, err
	}
	client, err := dialStore(ctx, conn)
	if err != nil {
		return l, unreachable(fmt.Errorf("log in to write: %w", err))
	}
	defer client.Close() //nolint:errcheck // nothing is under way any more
	if whole && !begun {
		if err := wantEmpty(ctx, client); err != nil {
			return l, err
		}
	}
	// From here on the cluster has objects of this file, which an interrupted try
	// has to know for its own.
	if err := mark.write(l.Skipped); err != nil {
		return l, err
	}
	if whole {
		if l.Indexes, err = takeIndexes(ctx, operator, header.Indexes); err != nil {
			return l, fmt.Errorf("take over index definitions: %w", err)
		}
	}
	r, err := backup.NewReader(in)
	if err != nil {
		return l, err
	}
	r.Own = !whole
	told := time.Now()
	got, err := backup.Load(ctx, r, storeWriter{client}, l.Skipped, time.Now, func(p backup.Loaded) error {
		if time.Since(told) > time.Second {
			told = time.Now()
			fmt.Fprintf(env.Stderr, "%d of %d objects\n", p.Objects, end.Objects)
		}
		return mark.write(max(p.Objects, l.Skipped))
	})
	l.Expired, l.Bytes = got.Expired, got.Bytes
	if err != nil {
		again := "run the same command again to go on"
		if mark.file == "" {
			again = "to go on, bring all of it again from a file"
		}
		return l, fmt.Errorf("%w; of %d objects the first %d are written, and perhaps some behind them: %s", err, end.Objects, max(got.Objects, l.Skipped), again)
	}
	if whole {
		if l.Grants, err = takeGrants(ctx, operator, header.Access); err != nil {
			return l, fmt.Errorf("take over grants: %w", err)
		}
	}
	return l, mark.remove()
}

// dialStore logs in to write, with the operator's account.
func dialStore(ctx context.Context, conn connection) (*appclient.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.timeout)
	defer cancel()
	x := conn.xmpp
	addrs, err := xmppconn.Addresses(ctx, x)
	if err == nil {
		err = nobodyListens(ctx, addrs)
	}
	if err != nil {
		return nil, err
	}
	return appclient.Dial(ctx, appclient.Config{
		JID: x.JID, Password: x.Password, Addrs: x.Addrs, TLS: x.TLS, DirectTLS: x.DirectTLS, InsecurePlaintext: x.InsecurePlaintext,
	})
}

// storeWriter is a backup.Store.
type storeWriter struct{ c *appclient.Client }

func (s storeWriter) Write(ctx context.Context, root string, mutations []appclient.Mutation) error {
	_, err := s.c.Root(root).Batch(ctx, mutations...)
	return err
}

func wantEmpty(ctx context.Context, c *appclient.Client) error {
	for root, err := range c.Roots(ctx, appclient.ScanOptions{PageSize: 1}) {
		if err != nil {
			return unreachable(fmt.Errorf("look whether the cluster is empty: %w", err))
		}
		return fmt.Errorf("the cluster has objects already, root %q among them; restore into an empty one, or use import to write over them", root)
	}
	return nil
}

// takeIndexes adds the index definitions that the ring does not have by name, each
// with a change of its own, since the epoch numbers it.
func takeIndexes(ctx context.Context, operator *admin.Client, indexes []ring.Index) (added int, err error) {
	for _, x := range indexes {
		fresh := false
		_, err := operator.Edit(ctx, func(doc *ring.Document) (*ring.Document, error) {
			if fresh = !slices.ContainsFunc(doc.Indexes, func(have ring.Index) bool { return have.Name == x.Name }); !fresh {
				return nil, nil
			}
			return doc.AddIndex(x)
		})
		if err != nil {
			return added, err
		}
		if fresh {
			added++
		}
	}
	return added, nil
}

// takeGrants adds grants.
func takeGrants(ctx context.Context, operator *admin.Client, grants []ring.Grant) (added int, err error) {
	_, err = operator.Edit(ctx, func(doc *ring.Document) (*ring.Document, error) {
		added = 0
		var next *ring.Document
		for _, g := range grants {
			base := doc
			if next != nil {
				base = next
			}
			if slices.Contains(base.Access, g) {
				continue
			}
			n, err := base.Grant(g)
			if err != nil {
				return nil, err
			}
			n.Epoch = doc.Epoch + 1
			next = n
			added++
		}
		return next, nil
	})
	return added, err
}
