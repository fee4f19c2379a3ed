package chaos

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
)

// backups are made while everything else goes on. The last one is restored, in the
// end, into another cluster with other partitions, and compared with the ledger:
// what was acknowledged before it began is there, and nothing is there without what
// was acknowledged before it was written.
type backups struct {
	operator *changer
	ledger   *ledger
	dir      string
	calm     time.Duration

	made   int
	file   string // of the last one that succeeded
	before map[string]int
}

func (b *backups) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(b.calm): // between two backups
		}
		b.make(context.WithoutCancel(ctx))
	}
}

// make makes one; that it fails now and then is the weather.
func (b *backups) make(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, healthy)
	defer cancel()
	b.operator.counts("backup")
	before := b.ledger.told()
	file := filepath.Join(b.dir, fmt.Sprintf("backup-%d.jsonl", b.made))
	b.made++
	if _, err := b.operator.try(ctx, "backup", file); err == nil {
		b.file, b.before = file, before
	}
}

// judge restores the last backup and compares it.
func (b *backups) judge(ctx context.Context, binary string, v *Verdict) (err error) {
	if b.file == "" {
		b.make(ctx)
	}
	if b.file == "" {
		return errors.New("no backup succeeds, though all is well")
	}
	other, err := devcluster.Start(ctx, devcluster.Options{
		Dir: filepath.Join(b.dir, "restored"), Binary: binary, Partitions: 5, DieWithParent: true, StartTimeout: healthy,
	})
	if err != nil {
		return fmt.Errorf("start a cluster to restore into: %w", err)
	}
	defer func() { err = errors.Join(err, other.Close()) }()
	if last, err := b.operator.tryOn(ctx, other.File(), "restore", b.file); err != nil {
		return fmt.Errorf("restore %s: %w: %s", b.file, err, last)
	}
	cfg, err := appclient.FromDev(other.File())
	if err != nil {
		return err
	}
	c, err := appclient.Dial(ctx, cfg)
	if err != nil {
		return fmt.Errorf("log in to the restored cluster: %w", err)
	}
	defer c.Close() //nolint:errcheck // never fails
	return b.compare(ctx, c, v)
}

// objectAt names an object.
type objectAt struct{ root, path string }

func (b *backups) compare(ctx context.Context, c *appclient.Client, v *Verdict) error {
	there := make(map[objectAt]string)
	for o, err := range c.Scan(ctx, appclient.ScanOptions{Prefix: "ledger/"}) {
		if err != nil {
			return fmt.Errorf("scan the restored cluster: %w", err)
		}
		there[objectAt{o.Root, o.Path}] = string(o.Value)
	}
	missing := make(map[int]string) // of a writer, what was acknowledged first and is not there
	for _, pg := range b.ledger.roots {
		for i, t := range pg.told {
			at := objectAt{pg.root, objectName(i)}
			got, present := there[at]
			delete(there, at)
			switch {
			case !present && t.outcome == applied && i < b.before[pg.root]:
				v.complain(&v.Lost, 1, "backup: %s %s was acknowledged before it began and is not there", at.root, at.path)
			case !present && t.outcome == applied && missing[pg.writer] == "":
				missing[pg.writer] = at.root + " " + at.path
			case present && t.outcome == refused:
				v.complain(&v.Wrong, 1, "backup: %s %s was refused and is there", at.root, at.path)
			case present && missing[pg.writer] != "":
				v.complain(&v.Wrong, 1, "backup: %s %s is there without %s, which was acknowledged before it was written", at.root, at.path, missing[pg.writer])
			case present && got != string(value(pg.root, i)):
				v.complain(&v.Wrong, 1, "backup: %s %s holds %q", at.root, at.path, got)
			}
		}
	}
	if len(there) > 0 {
		v.complain(&v.Wrong, len(there), "backup: %d objects that nobody wrote", len(there))
	}
	return nil
}
