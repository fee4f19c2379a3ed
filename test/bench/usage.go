package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/rosterdb/rosterdb/internal/devcluster"
)

const mib = 1 << 20

// usage is what the processes of a cluster have used of the machine so far, and
// what they hold of it.
type usage struct {
	cpu float64 // seconds, of all processes
	// written is what the data nodes tell that they have written to logs and state
	// files, in bytes. The kernel's count of a process has whole folios of the page
	// cache, many times that.
	written    float64
	anon, file float64 // MiB of the largest data node: its own memory, pages of files
	server     float64 // MiB of the XMPP server
	all        float64 // MiB of all processes
	state, wal float64 // MiB on the disk, of the largest data node
}

func (s *scaling) use(c *devcluster.Cluster) usage {
	info := c.Info()
	var u usage
	for _, x := range info.Servers {
		u.cpu += cpuSeconds(x.PID)
		u.server += procMiB(x.PID, "VmRSS:")
	}
	for _, n := range info.Nodes {
		u.cpu += cpuSeconds(n.PID)
		u.written += s.told.sum(n.ID, "rosterdb_wal_written_bytes_total", "rosterdb_state_written_bytes_total")
		anon := procMiB(n.PID, "RssAnon:")
		u.all += procMiB(n.PID, "VmRSS:")
		if anon > u.anon {
			u.anon, u.file = anon, procMiB(n.PID, "RssFile:")
		}
		u.state = max(u.state, allocated(filepath.Join(n.Data, "state.db"))/mib)
		u.wal = max(u.wal, allocated(filepath.Join(n.Data, "wal"))/mib)
	}
	u.all += u.server
	return u
}

// procMiB is a number of /proc/PID/status in MiB; 0: there is none.
func procMiB(pid int, field string) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return numberIn(b, field) / 1024
}

// numberIn is the number behind a name at the beginning of a line; 0: there is none.
func numberIn(text []byte, name string) float64 {
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) > 1 && f[0] == name {
			n, _ := strconv.ParseFloat(f[1], 64) // programs write numbers
			return n
		}
	}
	return 0
}

// told is what data nodes tell by their metrics.
type told struct {
	client http.Client
	mu     sync.Mutex
	addrs  map[string]string // by process
}

// launch gives each data node a listener for metrics.
func (t *told) launch(id string, argv []string) ([]string, error) {
	if !strings.HasPrefix(id, "dn") {
		return argv, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.addrs == nil {
		t.addrs = make(map[string]string)
	}
	t.addrs[id] = l.Addr().String()
	return append(argv, "--listen-metrics", t.addrs[id]), l.Close()
}

// sum adds metrics of a process; what it does not tell is 0.
func (t *told) sum(id string, names ...string) (sum float64) {
	t.mu.Lock()
	addr := t.addrs[id]
	t.mu.Unlock()
	res, err := t.client.Get("http://" + addr + "/metrics")
	if err != nil {
		return 0
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0
	}
	for _, name := range names {
		sum += numberIn(b, name)
	}
	return sum
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

// loadAverage is that of the machine, over the last minute.
func loadAverage() string {
	b, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(b), " ")
	return first
}
