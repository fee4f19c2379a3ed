package devcluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// readPIDs returns the recorded process ids; none where there is no record.
func readPIDs(l layout) ([]int, error) {
	b, err := os.ReadFile(l.pids())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read process ids: %w", err)
	}
	var pids []int
	for _, line := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is no process id", l.pids(), line)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

func writePIDs(l layout, pids []int) error {
	var b strings.Builder
	for _, pid := range pids {
		fmt.Fprintln(&b, pid)
	}
	if err := os.WriteFile(l.pids(), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("record process ids: %w", err)
	}
	return nil
}

// recordPID notes a process the moment it runs, so that `dev down` finds it
// even after a start that was killed.
func recordPID(l layout, pid int) error {
	pids, err := readPIDs(l)
	if err != nil {
		return err
	}
	return writePIDs(l, append(pids, pid))
}

// stopTimeout is the time from SIGTERM to SIGKILL for processes that another
// program started.
const stopTimeout = 5 * time.Second

// stopRecorded ends every recorded process that is still this cluster's. The
// XMPP servers go last, so that data nodes can say good-bye through them.
func stopRecorded(l layout) error {
	pids, err := readPIDs(l)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*stopTimeout)
	defer cancel()
	var servers []int
	others := slices.DeleteFunc(pids, func(pid int) bool {
		if !slices.Contains(commandLine(pid), "xmppd") {
			return false
		}
		servers = append(servers, pid)
		return true
	})
	for _, some := range [][]int{others, servers} {
		if err := stopAll(ctx, l, some); err != nil {
			return err
		}
	}
	if err := os.Remove(l.pids()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove process ids: %w", err)
	}
	return nil
}

func stopAll(ctx context.Context, l layout, pids []int) error {
	errs := make([]error, len(pids))
	var wg sync.WaitGroup
	for i, pid := range pids {
		wg.Go(func() { errs[i] = foreign{pid, string(l)}.stop(ctx, stopTimeout) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// writeArgs keeps the arguments of a process, for a restart by another program.
func writeArgs(file string, args []string) error {
	b, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("encode arguments: %w", err)
	}
	return writeSecret(file, b)
}

func readArgs(file string) (args []string, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the process's arguments: %w", err)
	}
	if err := json.Unmarshal(b, &args); err != nil {
		return nil, fmt.Errorf("%s is no list of arguments: %w", file, err)
	}
	return args, nil
}
