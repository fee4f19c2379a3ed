package replicated

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// filesEvery is how often the files of the data directory are looked at.
const filesEvery = 2 * time.Second

// errRemoved: what is written goes to files that nobody will find any more.
var errRemoved = errors.New("removed or replaced while the server runs")

// files are those of the data directory, as they were when it was opened. A server goes on with files that were removed, until it
// stops: then its copies are gone.
type files struct {
	dir  string
	same map[string]os.FileInfo // that are never replaced, by name

	mu     sync.Mutex
	ring   bool      // there was one
	looked time.Time // of the steward
	gone   bool      // what it saw
}

// Files of a data directory (package replication). Identity and ring are replaced when they change, the others never.
const (
	identityName, ringName = "identity", "ring"
	logName                = "wal"
)

// note takes note of the files that are there.
func (f *files) note(dir string) error {
	f.dir, f.same = dir, make(map[string]os.FileInfo)
	for _, name := range []string{"LOCK", "state.db", logName} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("look at the data directory: %w", err)
		}
		f.same[name] = info
	}
	return nil
}

// check tells which file is not there any more: errRemoved, or why it can't be looked at.
func (f *files) check() error {
	for name, was := range f.same {
		now, err := os.Stat(filepath.Join(f.dir, name))
		if err := f.judge(name, err); err != nil {
			return err
		}
		if !os.SameFile(now, was) {
			return f.missing(name)
		}
	}
	_, err := os.Stat(filepath.Join(f.dir, identityName))
	if err := f.judge(identityName, err); err != nil {
		return err
	}
	segments, err := os.ReadDir(filepath.Join(f.dir, logName))
	if err := f.judge(logName, err); err != nil {
		return err
	}
	if len(segments) == 0 {
		return f.missing(logName)
	}
	_, err = os.Stat(filepath.Join(f.dir, ringName))
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ring = f.ring || err == nil; !f.ring { // it has joined nobody yet
		return nil
	}
	return f.judge(ringName, err)
}

func (f *files) judge(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return f.missing(name)
	}
	if err != nil {
		return fmt.Errorf("look at the data directory: %w", err)
	}
	return nil
}

func (f *files) missing(name string) error {
	return fmt.Errorf("%s was %w: its copies of the cluster's data end with the process; while the others are up stop it, empty %s, and start it again: it gets them anew", filepath.Join(f.dir, name), errRemoved, f.dir)
}

// lookAtFiles tells when files were removed, or are back.
func (s *Store) lookAtFiles() {
	f := &s.files
	if time.Since(f.looked) < filesEvery {
		return
	}
	f.looked = time.Now()
	err := f.check()
	gone := errors.Is(err, errRemoved)
	if gone == f.gone || err != nil && !gone {
		return
	}
	f.gone = gone
	if gone {
		s.log.Error("files of this server's data are gone", "error", err)
	} else {
		s.log.Info("the files of this server's data are back")
	}
	if s.opt.Gone != nil {
		s.opt.Gone(gone)
	}
}
