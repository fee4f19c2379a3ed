package bolt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// The environment that makes this test's program a child that writes until it is killed.
const (
	childDir   = "ROSTERDB_TEST_BOLT_DIR"
	childEarly = "ROSTERDB_TEST_BOLT_EARLY"
)

const crashWriters = 8

// child updates counters without end and tells of each one that was acknowledged.
func child(dir string, early bool) {
	s, err := open(dir, domain, faults{ackEarly: early})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for w := range crashWriters {
		wg.Go(func() {
			for {
				n := 0
				err := s.Update(context.Background(), strconv.Itoa(w), func(tx store.Tx) error {
					n = 1 + counter(tx, "c")
					v := []byte(strconv.Itoa(n))
					return errors.Join(tx.Put("c", nil, v), tx.Put("d", nil, v))
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Println(w, n) // one write
			}
		})
	}
	wg.Wait()
}

func counter(r store.Reader, collection string) int {
	v, _ := r.Get(collection, nil)
	n, _ := strconv.Atoi(string(v))
	return n
}

// crash kills a child in the midst of its updates, and returns what was lost or torn.
func crash(t *testing.T, dir string, after int, early bool) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	if early {
		cmd.Env = append(cmd.Env, childEarly+"=1")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acked [crashWriters]int
	lines := bufio.NewScanner(out)
	for seen := 1; lines.Scan(); seen++ {
		var w, n int
		if _, err := fmt.Sscan(lines.Text(), &w, &n); err != nil {
			t.Fatalf("the child says %q", lines.Text())
		}
		acked[w] = n
		if seen == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // killed
	if cmd.ProcessState.Exited() {
		t.Fatalf("the child ended by itself: %v", cmd.ProcessState)
	}
	s := openOrFail(t, dir, faults{})
	for w, n := range acked {
		err = errors.Join(err, s.View(t.Context(), strconv.Itoa(w), func(r store.Reader) error {
			if c, d := counter(r, "c"), counter(r, "d"); c < n || c != d {
				return fmt.Errorf("writer %d: %d acknowledged, %d and %d stored", w, n, c, d)
			}
			return nil
		}))
	}
	return errors.Join(err, s.Close())
}

// TestCrash: a process that is killed loses no update that it acknowledged, and has none in halves.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	for _, after := range []int{1, 20, 150, 400} {
		if err := crash(t, dir, after, false); err != nil {
			t.Errorf("killed after %d acknowledgements: %v", after, err)
		}
	}
}

// TestCrashBites: acknowledging before the commit is found by the same test.
func TestCrashBites(t *testing.T) {
	dir := t.TempDir()
	for range 50 {
		if crash(t, dir, 20, true) != nil {
			return
		}
	}
	t.Error("50 crashes didn't show that updates are acknowledged before they are stored")
}
