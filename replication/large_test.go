package replication

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
)

// anonymous is the memory of this process that no file backs, and all of it, in MiB; 0 where
// the system does not tell.
func anonymous() (anon, all int) {
	body, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	field := func(name string) int {
		_, rest, _ := strings.Cut(string(body), name+":")
		n, _ := strconv.Atoi(strings.Fields(rest)[0])
		return n >> 10
	}
	return field("RssAnon"), field("VmRSS")
}

// TestLargePartition brings an absent member level with a partition of some MiB
// (ROSTERDB_PARTITION_MIB for more) while writes go on, and logs what memory that
// took of sender and receiver, who share the process.
func TestLargePartition(t *testing.T) {
	mib := 12
	if n, err := strconv.Atoi(os.Getenv("ROSTERDB_PARTITION_MIB")); err == nil {
		mib = n
	}
	c := newTestCluster(t, 3, 1, func(cfg *Config) { cfg.ScrubEvery = -1 })
	s := c.session(0)
	c.stop(2)
	value := strings.Repeat("0123456789abcdef", 16<<10) // 256 KiB
	seq := uint64(0)
	write := func(path, value string) {
		seq++
		if r := c.write(0, put(s, seq, "root", path, value)); r.Code != op.OK {
			t.Fatalf("%+v", r)
		}
	}
	for i := range mib * 4 {
		write(fmt.Sprint("large", i), value)
	}
	for i := range 1300 { // more than the log keeps for who is away
		write("small", fmt.Sprint(i))
	}
	runtime.GC()
	anon, all := anonymous()
	began := time.Now()
	c.start(2)
	peakAnon, peakAll, writes := 0, 0, 0
	deadline := time.Now().Add(time.Duration(60+mib) * time.Second)
	for {
		write("meanwhile", fmt.Sprint(writes))
		writes++
		a, b := anonymous()
		peakAnon, peakAll = max(peakAnon, a-anon), max(peakAll, b-all)
		at, _ := c.node(2).part(0).Applied()
		want, _ := c.leader(0).part(0).Applied()
		if at > 0 && at+5 >= want {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not level in time: %d of %d", at, want)
		}
		time.Sleep(10 * time.Millisecond) // the pause of a poll
	}
	t.Logf("%d MiB in %s, %d writes meanwhile; sender and receiver together grew by %d MiB (anonymous), %d MiB (with mapped files)",
		mib, time.Since(began).Round(time.Millisecond), writes, peakAnon, peakAll)
	eventually(t, "equal states", func() bool { return c.node(0).part(0).Digest() == c.node(2).part(0).Digest() })
}
