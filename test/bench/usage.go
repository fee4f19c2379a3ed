package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/rosterdb/rosterdb/internal/devcluster"
)

const mib = 1 << 20

// usage is what the processes of a cluster have used of the machine so far, and
// what they hold of it.
type usage struct {
	cpu float64 // seconds, of all processes
	// written is what the data nodes have dirtied, in bytes. The kernel counts whole
	// folios, many times what was written: it tells only whether something is.
	written    float64
	device     float64 // bytes that the disk below the data has got, from all programs
	anon, file float64 // MiB of the largest data node: its own memory, pages of files
	server     float64 // MiB of the XMPP server
	all        float64 // MiB of all processes
	state, wal float64 // MiB on the disk, of the largest data node
}

func use(c *devcluster.Cluster) usage {
	info := c.Info()
	var u usage
	for _, x := range info.Servers {
		u.cpu += cpuSeconds(x.PID)
		u.server += procKiB(x.PID, "status", "VmRSS:") / 1024
	}
	for _, n := range info.Nodes {
		u.cpu += cpuSeconds(n.PID)
		u.written += procKiB(n.PID, "io", "write_bytes:")
		anon := procKiB(n.PID, "status", "RssAnon:") / 1024
		u.all += procKiB(n.PID, "status", "VmRSS:") / 1024
		if anon > u.anon {
			u.anon, u.file = anon, procKiB(n.PID, "status", "RssFile:")/1024
		}
		u.state = max(u.state, allocated(filepath.Join(n.Data, "state.db"))/mib)
		u.wal = max(u.wal, allocated(filepath.Join(n.Data, "wal"))/mib)
	}
	u.all += u.server
	u.device = deviceWritten(info.Nodes[0].Data)
	return u
}

// procKiB is a number of a file of /proc/PID, in the unit that it has there; 0: there is none.
func procKiB(pid int, file, field string) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) > 1 && f[0] == field {
			n, _ := strconv.ParseFloat(f[1], 64) // the kernel writes numbers
			return n
		}
	}
	return 0
}

// allocated is the room that a file takes, or a directory's files, in bytes.
func allocated(path string) (sum float64) {
	// Files come and go meanwhile; what can't be looked at is gone.
	_ = filepath.WalkDir(path, func(_ string, d os.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				sum += float64(st.Blocks) * 512
			}
		}
		return nil
	})
	return sum
}

// deviceWritten is what the device that a directory lies on was given to write
// since the machine started, in bytes; 0: it can't be told.
func deviceWritten(dir string) float64 {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return 0
	}
	major, minor := uint64(st.Dev)>>8&0xfff, uint64(st.Dev)&0xff|uint64(st.Dev)>>12&0xfff00
	b, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/stat", major, minor))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b)) // Documentation/block/stat.rst: the seventh is sectors of 512 bytes
	if len(f) < 7 {
		return 0
	}
	n, _ := strconv.ParseFloat(f[6], 64)
	return n * 512
}

// loadAverage is that of the machine, over the last minute.
func loadAverage() string {
	b, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(b), " ")
	return first
}
