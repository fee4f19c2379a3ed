package chaos

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/powerfs"
)

// Options of a run. The zero value of every field but Binary is a sensible default.
type Options struct {
	Seed       uint64        // of the faults; 0 is a seed, too
	Duration   time.Duration // of the faults; 0: 5 minutes
	Servers    int           // XMPP servers; 0: 3, or 1 with a planted mistake, which waits for its moment in one connection
	Nodes      int           // 0: 3
	Partitions int           // 0: 16
	Dir        string        // of data and logs; empty: a temporary one, kept if the run fails
	Binary     string        // a program that calls Child; empty: the running one
	Kinds      []string      // faults to choose from; nil: all that work here
	First      []string      // of Kinds and Changes: what happens in any case, in this order within its lane; the run lasts longer if it must
	Plant      Plant         // a mistake that must be noticed
	Pace       time.Duration // each client's pause between operations; 0: 3 ms; negative: none
	Calm       time.Duration // between two faults, at most 1.25 of it; 0: 2 s
	Hold       time.Duration // longest that a fault lasts; 0: 3 s
	SyncTime   time.Duration // that a sync of a disk takes; 0: 2 ms
	Lose       bool          // a power cut spares nothing that was not synced; else it does so half the time
	Log        io.Writer     // told what happens; nil: nobody

	namespaces, disks bool
	notes             []string // why something is missing here
}

func (o Options) withDefaults() (Options, error) {
	if o.Duration == 0 {
		o.Duration = 5 * time.Minute
	}
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	switch {
	case o.Servers == 0 && o.Plant != NoPlant:
		o.Servers = 1
	case o.Servers == 0:
		o.Servers = 3
	}
	if o.Partitions == 0 {
		o.Partitions = 16
	}
	if o.Pace == 0 {
		o.Pace = 3 * time.Millisecond
	}
	if o.Calm == 0 {
		o.Calm = 2 * time.Second
	}
	if o.Hold == 0 {
		o.Hold = 3 * time.Second
	}
	if o.SyncTime == 0 {
		o.SyncTime = 2 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Servers > devcluster.MaxServers {
		return o, fmt.Errorf("%d servers: %d are the most", o.Servers, devcluster.MaxServers)
	}
	if o.Plant != NoPlant && o.Servers > 1 {
		return o, errors.New("a planted mistake shows with one server only")
	}
	if o.Nodes < 3 {
		return o, fmt.Errorf("%d data nodes: chaos needs 3, so that one may fail", o.Nodes)
	}
	for _, k := range o.Kinds {
		if !slices.Contains(Kinds(), k) {
			return o, fmt.Errorf("there is no fault %q; choose from %s", k, strings.Join(Kinds(), ", "))
		}
	}
	for _, k := range o.First {
		if !slices.Contains(slices.Concat(Kinds(), Changes()), k) {
			return o, fmt.Errorf("there is no fault and no change %q; choose from %s", k, strings.Join(slices.Concat(Kinds(), Changes()), ", "))
		}
	}
	var err error
	if o.Binary == "" {
		if o.Binary, err = os.Executable(); err != nil {
			return o, fmt.Errorf("find the running program: %w", err)
		}
	}
	if o.Dir == "" {
		o.Dir, err = os.MkdirTemp("", "chaos-")
	} else if o.Dir, err = filepath.Abs(o.Dir); err == nil {
		err = os.MkdirAll(o.Dir, 0o700)
	}
	if err != nil {
		return o, fmt.Errorf("make a directory for the run: %w", err)
	}
	if err := namespaces(); err != nil {
		o.notes = append(o.notes, "no namespaces, on loopback: "+err.Error())
	} else {
		o.namespaces = true
	}
	if err := powerfs.Supported(); err != nil {
		o.notes = append(o.notes, "no disks that lose power or fill up: "+err.Error())
	} else {
		o.disks = true
	}
	return o, nil
}

// Repeat is the command that runs the same faults again.
func (o *Options) Repeat() string {
	cmd := fmt.Sprintf("go run ./test/chaos/run -seed %d -duration %s -servers %d -nodes %d", o.Seed, o.Duration, o.Servers, o.Nodes)
	if o.Kinds != nil {
		cmd += " -faults " + strings.Join(o.Kinds, ",")
	}
	if o.First != nil {
		cmd += " -first " + strings.Join(o.First, ",")
	}
	if o.Plant != NoPlant {
		cmd += " -plant " + string(o.Plant)
	}
	return cmd
}
