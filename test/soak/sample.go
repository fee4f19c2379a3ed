package main

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
)

// metrics knows where processes tell theirs.
type metrics struct {
	client http.Client

	mu    sync.Mutex
	addrs map[string]string // by process
}

func newMetrics() *metrics {
	return &metrics{client: http.Client{Timeout: 10 * time.Second}, addrs: make(map[string]string)}
}

// launch gives each data node a listener for metrics; the XMPP server has one.
func (m *metrics) launch(id string, argv []string) ([]string, error) {
	if !strings.HasPrefix(id, "dn") {
		return argv, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	addr := l.Addr().String()
	m.mu.Lock()
	m.addrs[id] = addr
	m.mu.Unlock()
	return append(argv, "--listen-metrics", addr), l.Close()
}

// goroutines asks a process for their number; 0: it does not say.
func (m *metrics) goroutines(ctx context.Context, addr string) float64 {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return 0
	}
	res, err := m.client.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	for s := bufio.NewScanner(res.Body); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "go_goroutines "); ok {
			n, _ := strconv.ParseFloat(v, 64) // 0 is what we say of what we can't read
			return n
		}
	}
	return 0
}

// The measures of a process.
const (
	memory      = "memory, MiB"
	disk        = "disk, MiB"
	descriptors = "descriptors"
	goroutines  = "goroutines"
)

// key names a measure of a process.
type key struct{ process, what string }

// sample is what all processes use at one time.
type sample map[key]float64

func takeSample(ctx context.Context, c *devcluster.Cluster, m *metrics) sample {
	s := make(sample)
	info := c.Info()
	for _, x := range info.Servers {
		s.add(x.ID, x.PID, filepath.Join(filepath.Dir(c.File()), x.ID), m.goroutines(ctx, x.HTTP))
	}
	for _, n := range info.Nodes {
		m.mu.Lock()
		addr := m.addrs[n.ID]
		m.mu.Unlock()
		s.add(n.ID, n.PID, n.Data, m.goroutines(ctx, addr))
	}
	return s
}

func (s sample) add(id string, pid int, data string, routines float64) {
	const mib = 1 << 20
	s[key{id, memory}] = resident(pid) / mib
	s[key{id, disk}] = allocated(data) / mib
	fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)) // none where there is no /proc
	s[key{id, descriptors}] = float64(len(fds))
	s[key{id, goroutines}] = routines
}

// resident is the memory of a process in bytes.
func resident(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseFloat(fields[1], 64) // the kernel writes numbers
	return pages * float64(os.Getpagesize())
}

// allocated is the room that a directory's files take, in bytes.
func allocated(dir string) (bytes float64) {
	// Files come and go meanwhile; what can't be looked at is gone.
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				bytes += float64(st.Blocks) * 512
			}
		}
		return nil
	})
	return bytes
}
