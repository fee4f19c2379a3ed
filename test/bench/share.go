package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sharePeriod is the time in which a share of a processor may be used up. Short, so that servers that wait for each other do
// not do so for their next period.
const sharePeriod = 10 * time.Millisecond

// shared gives each process the same share of a processor, by a control group of its own (version 1 or 2), and returns how
// to take it back. That takes root, and a hierarchy with the controller cpu.
func shared(pids []int, cores float64) (undo func() error, err error) {
	root, quota := cpuHierarchy()
	if root == "" {
		return nil, errors.New("no control groups with the controller cpu are mounted below /sys/fs/cgroup")
	}
	var groups []string
	undo = func() error {
		var errs []error
		for i, g := range groups {
			errs = append(errs, put(filepath.Join(root, "cgroup.procs"), strconv.Itoa(pids[i])), os.Remove(g))
		}
		return errors.Join(errs...)
	}
	for _, pid := range pids {
		g := filepath.Join(root, "rosterdb-bench-"+strconv.Itoa(pid))
		if err := os.Mkdir(g, 0o755); err != nil { //nolint:gosec // no secret
			return nil, errors.Join(fmt.Errorf("make a control group: %w", err), undo())
		}
		groups = append(groups, g)
		period := sharePeriod.Microseconds()
		if err := errors.Join(quota(g, int64(cores*float64(period)), period), put(filepath.Join(g, "cgroup.procs"), strconv.Itoa(pid))); err != nil {
			return nil, errors.Join(err, undo())
		}
	}
	return undo, nil
}

// cpuHierarchy is where groups with the controller cpu are made, and how one gets its quota.
func cpuHierarchy() (root string, quota func(group string, quota, period int64) error) {
	const v1, v2 = "/sys/fs/cgroup/cpu", "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(v1, "cpu.shares")); err == nil {
		return v1, func(g string, quota, period int64) error {
			return errors.Join(put(filepath.Join(g, "cpu.cfs_period_us"), strconv.FormatInt(period, 10)),
				put(filepath.Join(g, "cpu.cfs_quota_us"), strconv.FormatInt(quota, 10)))
		}
	}
	has, _ := os.ReadFile(filepath.Join(v2, "cgroup.subtree_control"))
	if !strings.Contains(" "+strings.TrimSpace(string(has))+" ", " cpu ") {
		return "", nil
	}
	return v2, func(g string, quota, period int64) error {
		return put(filepath.Join(g, "cpu.max"), fmt.Sprintf("%d %d", quota, period))
	}
}

func put(file, text string) error {
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("control groups: %w", err)
	}
	return nil
}
