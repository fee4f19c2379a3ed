package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/cli/ringctl/backup"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/ring"
)

const importHelp = `
The whole file is checked before anything is written. Objects that have expired since are
left out, others keep their moment of expiry. Versions and revisions begin anew. How far it
came is kept in FILE.progress: after an interruption the same command goes on there.
Nobody else should write the same objects meanwhile.`

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
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag()),
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

   ringctl restore monday.jsonl
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag()),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "FILE"); err != nil {
				return err
			}
			return load(c, env, c.Args().First(), true)
		},
	}
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
	conn, err := connectionOf(c, env)
	if err != nil {
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	defer in.Close() //nolint:errcheck // only read
	header, end, err := backup.Verify(in, !whole)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	if end.Unchecked {
		fmt.Fprintf(env.Stderr, "%s has no checksum: that nothing of it is damaged could not be verified\n", file)
	}
	if _, err := in.Seek(0, 0); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	var l loaded
	err = withOperator(c.Context, conn, func(ctx context.Context, operator *admin.Client) error {
		l, err = bring(ctx, env, conn, operator, in, header, end, whole)
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

// bring writes a file that was verified.
func bring(ctx context.Context, env Env, conn connection, operator *admin.Client, in *os.File, header backup.Header, end backup.Trailer, whole bool) (loaded, error) {
	l := loaded{Objects: end.Objects}
	doc, err := operator.Ring(ctx)
	if err != nil {
		return l, unreachable(err)
	}
	mark := checkpoint{Checksum: end.Checksum, Cluster: doc.Cluster, file: in.Name() + ".progress"}
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
		return l, fmt.Errorf("%w; run the same command again to go on", err)
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

// checkpoint keeps how many objects of a file are in a cluster.
type checkpoint struct {
	Checksum string `json:"checksum"` // of the file
	Cluster  string `json:"cluster"`
	Objects  int64  `json:"objects"`

	file string
}

// read says how many objects an earlier try has written, and whether there was one.
func (m *checkpoint) read() (objects int64, begun bool, err error) {
	b, err := os.ReadFile(m.file)
	if errors.Is(err, os.ErrNotExist) {
		return 0, false, nil
	}
	var was checkpoint
	if err == nil {
		err = json.Unmarshal(b, &was)
	}
	if err != nil {
		return 0, false, fmt.Errorf("read how far an earlier try came: %w; delete %s to begin from the start", err, m.file)
	}
	if was.Checksum != m.Checksum || was.Cluster != m.Cluster {
		return 0, false, fmt.Errorf("%s is about another file or another cluster; delete it to begin from the start", m.file)
	}
	return was.Objects, true, nil
}

func (m *checkpoint) write(objects int64) error {
	m.Objects = objects
	b, err := json.Marshal(m)
	if err == nil {
		err = os.WriteFile(m.file+".tmp", b, 0o600)
	}
	if err == nil {
		err = os.Rename(m.file+".tmp", m.file)
	}
	if err != nil {
		return fmt.Errorf("note how far it came: %w", err)
	}
	return nil
}

func (m *checkpoint) remove() error {
	if err := os.Remove(m.file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("everything is written, but %s is still there: %w; delete it", m.file, err)
	}
	return nil
}
