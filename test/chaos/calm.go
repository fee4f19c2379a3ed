package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rosterdb/rosterdb/internal/devcluster"
)

// WithCluster runs do with a cluster of processes on loopback that nothing happens
// to unless do does it. o needs no directory: data and logs are in a temporary one,
// which is kept, and named by the error, if do fails. Programs that call it call
// Child first.
func WithCluster(ctx context.Context, o devcluster.Options, do func(context.Context, *devcluster.Cluster) error) (err error) {
	dir, err := os.MkdirTemp("", "cluster-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(dir)
		} else {
			err = fmt.Errorf("%w\ndata and logs: %s", err, dir)
		}
	}()
	o.Dir, o.DieWithParent, o.StartTimeout = filepath.Join(dir, "cluster"), true, healthy
	c, err := devcluster.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return do(ctx, c)
}
