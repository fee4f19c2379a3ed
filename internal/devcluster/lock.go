package devcluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockDir keeps other programs from starting or stopping processes of this
// cluster meanwhile. The file also marks the directory as a cluster's.
func lockDir(l layout) (unlock func(), err error) {
	f, err := os.OpenFile(l.lock(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock cluster directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close() // the error that matters is the lock's
		return nil, fmt.Errorf("another ringctl is starting or stopping the cluster in %s; wait for it: %w", l, err)
	}
	return func() { _ = f.Close() }, nil // closing gives the lock back
}

// prepareDir makes the directory. It refuses one that holds something else, and
// empties one that a start which did not get to its end has left.
func prepareDir(l layout) error {
	entries, err := os.ReadDir(string(l))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look into the cluster directory: %w", err)
	}
	_, marked := os.Stat(l.lock())
	if len(entries) > 0 && marked != nil {
		return fmt.Errorf("%s is not empty and holds no development cluster; name an empty or a new directory", l)
	}
	return l.make()
}

// RemoveStopped removes the directory of a cluster of which no recorded process
// runs and that nobody is starting or stopping. A directory that holds no
// cluster is left alone; removed says what was done.
func RemoveStopped(dir string) (removed bool, err error) {
	o, err := Options{Dir: dir}.withDefaults()
	if err != nil {
		return false, err
	}
	files := layout(o.Dir)
	if _, err := os.Stat(files.lock()); err != nil {
		return false, nil // no cluster, or not ours to look into
	}
	unlock, err := lockDir(files)
	if err != nil {
		return false, err
	}
	defer unlock()
	pids, err := readPIDs(files)
	if err != nil {
		return false, err
	}
	for _, pid := range pids {
		if (foreign{pid, o.Dir}).ours() {
			return false, nil
		}
	}
	if err := os.RemoveAll(o.Dir); err != nil {
		return false, fmt.Errorf("remove a stopped cluster: %w", err)
	}
	return true, nil
}

// forget removes what a start has left of which nothing runs and nothing is needed; the
// directory, too, if that made it.
func forget(l layout, whole bool) error {
	names := []string{string(l)}
	if !whole {
		entries, err := os.ReadDir(string(l))
		if err != nil {
			return fmt.Errorf("look into the cluster directory: %w", err)
		}
		names = names[:0]
		for _, e := range entries {
			names = append(names, filepath.Join(string(l), e.Name()))
		}
	}
	for _, name := range names {
		if err := os.RemoveAll(name); err != nil {
			return fmt.Errorf("remove what a start without ports has left: %w", err)
		}
	}
	return nil
}

// discardHalfMade removes what an unfinished start has left: without
// cluster.json nothing was ever handed out to anybody.
func discardHalfMade(l layout) error {
	if err := stopRecorded(l); err != nil {
		return err
	}
	entries, err := os.ReadDir(string(l))
	if err != nil {
		return fmt.Errorf("look into the cluster directory: %w", err)
	}
	for _, e := range entries {
		if p := filepath.Join(string(l), e.Name()); p != l.lock() {
			if err := os.RemoveAll(p); err != nil {
				return fmt.Errorf("remove what an unfinished start has left: %w", err)
			}
		}
	}
	return l.make()
}
