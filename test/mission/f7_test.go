package mission

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

// checkStrategies runs the server with each way to wait for clients: the same conversation goes on
// beside the same hostile streams, and idle sessions cost few bytes each.
func checkStrategies(t *testing.T) {
	for _, s := range []struct {
		io     string
		mostKB int // of an idle session
	}{{"loop", 16}, {"goroutine", 24}} {
		t.Run(s.io, func(t *testing.T) {
			config := filepath.Join(t.TempDir(), "xmppd.toml")
			text := fmt.Sprintf("io = %q\n[limits]\nnegotiation_seconds = 5\nsessions_per_account = 1000\n", s.io)
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			c := harness.Start(t, devcluster.Options{Binary: binary, Servers: 1, Nodes: 1, Partitions: 1, InsecurePlaintext: true, ServerConfig: config})
			info := c.Info()
			chat := startChat(t, &info)
			for _, h := range hostiles()[:8] {
				got, err := attack(&info, h, h.name)
				if err != nil || !strings.Contains(got, h.want) {
					t.Errorf("%s: answered %q, %v; want %s", h.name, got, err, h.want)
				}
			}
			chat.stop(t)
			kb := idleSessions(t, &info, 400)
			t.Logf("io = %q: %d KB an idle session", s.io, kb)
			if runtime.GOOS == "linux" && kb > s.mostKB {
				t.Errorf("an idle session takes %d KB, want %d at most", kb, s.mostKB)
			}
		})
	}
}

// idleSessions holds n sessions that are silent, and returns what each costs the server.
func idleSessions(t *testing.T, info *devcluster.Info, n int) (kb int) {
	t.Helper()
	const rest = 6 * time.Second // of the server, in which it gives back what logging in has used
	time.Sleep(rest)
	before := residentKB(t, info.Servers[0].PID)
	var wg sync.WaitGroup
	for i := range n {
		conn, err := net.Dial("tcp", info.Servers[0].C2S)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // of a test
		wg.Go(func() {
			if err := plainLogin(conn, info.Accounts["user2"], fmt.Sprintf("idle %d", i)); err != nil {
				t.Errorf("log in: %v", err)
			}
		})
		if i%16 == 15 {
			wg.Wait()
		}
	}
	wg.Wait()
	time.Sleep(rest)
	return max(0, residentKB(t, info.Servers[0].PID)-before) / n
}
