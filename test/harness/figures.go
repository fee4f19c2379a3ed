package harness

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Metrics adds up metrics without labels of the process that serves them at addr. What
// it does not tell is 0, and so is all of a process that is not there.
func Metrics(ctx context.Context, addr string, names ...string) (sum float64) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return 0
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0
	}
	for _, name := range names {
		sum += numberIn(text, name)
	}
	return sum
}

// ProcMiB is a number of /proc/PID/status in MiB, as "VmRSS:"; 0: there is none.
func ProcMiB(pid int, field string) float64 {
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

// Allocated is the room that a file takes, or a directory's files, in bytes.
func Allocated(path string) (sum float64) {
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
