package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/cli/ringctl/backup"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
)

const fileHelp = `
The file is JSON lines: a header, one object a line (root, path, text or base64, refs,
expires in milliseconds since 1970, version), and a last line with counts and a checksum.
A file without that line is refused.`

const cutHelp = `
All data nodes keep their state as of one moment of log time, and it is read from them
while they serve: what one client wrote because of another's write is never there without
it. Memory and disk of the nodes grow by what is written meanwhile.`

func exportCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "write all objects to a file or to standard output",
		ArgsUsage: "[FILE]",
		Description: `Writes all objects as JSON lines, as of one moment. A file that is there is not replaced
without --force.
` + cutHelp + fileHelp + `

   ringctl export objects.jsonl
   ringctl export | jq -r 'select(.root) | .root' | sort | uniq -c
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(), forceFlag()),
		Action: func(c *cli.Context) error {
			file := ""
			if c.NArg() == 1 {
				file = c.Args().First()
			} else if err := wantArgs(c); err != nil {
				return err
			}
			return save(c, env, file, false)
		},
	}
}

func backupCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "backup",
		Usage:     "write all objects, index definitions and grants to a file",
		ArgsUsage: "FILE",
		Description: `Writes what ringctl restore needs to fill an empty cluster, of any number of nodes and
partitions: all objects as of one moment, index definitions and grants. FILE appears when
it is complete. One that is there is not replaced without --force; - is standard output.
` + cutHelp + fileHelp + `

   ringctl backup monday.jsonl
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(), forceFlag()),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "FILE"); err != nil {
				return err
			}
			return save(c, env, c.Args().First(), true)
		},
	}
}

// saved is the JSON of export and backup; its fields are a contract with scripts.
type saved struct {
	File     string `json:"file"`
	Objects  int64  `json:"objects"`
	Bytes    int64  `json:"bytes"` // of values
	Time     int64  `json:"time"`  // of the cut, milliseconds since 1970
	Checksum string `json:"checksum"`
	Seconds  int64  `json:"seconds"`
}

func forceFlag() cli.Flag {
	return &cli.BoolFlag{Name: "force", Usage: "replace FILE if it is there"}
}

func save(c *cli.Context, env Env, file string, whole bool) error {
	if file == "-" {
		file = ""
	}
	if _, err := os.Lstat(file); err == nil && !c.Bool("force") {
		return fmt.Errorf("%s exists, and stays as it is: name another file, or replace it with --force", file)
	}
	return asOperator(c, env, func(ctx context.Context, operator *admin.Client, conn connection, out format) error {
		begun := time.Now()
		var s saved
		err := toFile(env, file, func(w io.Writer) (err error) {
			s, err = export(ctx, env, operator, w, whole)
			return err
		})
		if errors.Is(err, admin.ErrNoNode) || errors.Is(err, admin.ErrNoRing) {
			return unreachable(seesNothing(operator, conn, err))
		}
		if err != nil || file == "" {
			return err
		}
		s.File, s.Seconds = file, int64(time.Since(begun).Seconds())
		if out == formatJSON {
			return writeJSON(env.Stdout, s)
		}
		_, err = fmt.Fprintf(env.Stdout, "%d objects, %s of values, as of %s, in %s\n",
			s.Objects, bytesText(uint64(s.Bytes)), time.UnixMilli(s.Time).UTC().Format("2006-01-02 15:04:05.000 MST"), file)
		return err
	})
}

// toFile writes a file that appears under its name, durably, when it is complete;
// "" is standard output.
func toFile(env Env, file string, write func(io.Writer) error) error {
	if file == "" {
		return write(env.Stdout)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	err = write(tmp)
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", file, err), os.Remove(tmp.Name()))
	}
	if err := syncDir(filepath.Dir(file)); err != nil {
		return fmt.Errorf("write %s: its directory cannot be synced, so it may be gone after a power cut: %w", file, err)
	}
	return nil
}

// syncDir makes the names of a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func export(ctx context.Context, env Env, operator *admin.Client, w io.Writer, whole bool) (saved, error) {
	x, err := operator.Export(ctx, func(why string) {
		fmt.Fprintf(env.Stderr, "%s, and a cut needs leaders that stay: waiting for it may take a minute or more\n", why)
	})
	if err != nil {
		return saved{}, err
	}
	defer x.Close()
	if len(x.Astray) > 0 {
		fmt.Fprintf(env.Stderr, "warning: the log time of %s is %v ahead of the data nodes' clocks, since a clock was wrong: they are in the file as of now, not of the same moment as the others\n",
			plural(len(x.Astray), "partition"), x.Ahead.Round(time.Second))
	}
	h := backup.Header{Cluster: x.Ring.Cluster, Time: x.Time, Partitions: x.Ring.Partitions}
	if whole {
		h.Indexes, h.Access = x.Ring.Indexes, x.Ring.Access
	}
	f, err := backup.NewWriter(w, h)
	if err != nil {
		return saved{}, err
	}
	told, partitions, objects := time.Now(), 0, 0
	err = x.Objects(ctx, func(p *adminxml.Piece) error {
		objects++
		o := backup.Object{Root: p.Root, Path: p.Path, Expires: p.Expires, Version: p.Version}
		o.SetValue(p.Value)
		for _, r := range p.Refs {
			o.Refs = append(o.Refs, backup.Ref{Root: r[0], Path: r[1]})
		}
		return f.Write(&o)
	}, func(uint32) {
		partitions++
		if time.Since(told) > time.Second {
			told = time.Now()
			fmt.Fprintf(env.Stderr, "%d of %d partitions, %d objects\n", partitions, x.Ring.Partitions, objects)
		}
	})
	if err != nil {
		return saved{}, err
	}
	end, err := f.Close()
	return saved{Objects: end.Objects, Bytes: end.Bytes, Time: x.Time, Checksum: end.Checksum}, err
}
