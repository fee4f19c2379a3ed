package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/xmppd"
)

const (
	// attackers of each kind hold, or open, a connection each.
	attackers = 24
	// maxGrowth is what an attacked server may take more, in MiB: connections of strangers are bounded, and so is what each may say.
	maxGrowth = 250
	// maxStrangers is how many descriptors strangers may take: those of the port, and a few that are just being closed.
	maxStrangers = 200
	warnings     = 40 // lines in the log of a server that is flooded, within some minutes
)

// TestAttackedPort floods the port of one of three servers for other servers: connections that say nothing, that begin TLS or gossip and
// do not go on, or drip, gossip that is too long, garbage by TCP and UDP, certificates of another authority. Then servers come that must not be
// taken: with another key, another version, another cluster, a wrong clock, or another one's name. Each is refused with a line in the log and counted; memory
// and descriptors are bounded; and who works with the store, logs in, changes a roster or chats meanwhile, over that server, too, notices nothing; nor do the
// records of accounts, which the servers keep together over that very port.
func TestAttackedPort(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary, Domain: harness.Domain, Partitions: 8})
	info := c.Info()
	victim := info.Servers[1]
	a := &attack{t: t, cluster: c, to: victim, dir: filepath.Dir(c.File())}
	store, chat := work(t, []appclient.Root{harness.Dial(t, c, nil).Root("a"), harness.Dial(t, c, nil).Root("b")}), chatAcross(t, c)
	before, opened := harness.ProcMiB(victim.PID, "VmHWM:"), descriptorsOf(t, victim.PID)
	resets := a.metric("xmppd_cluster_link_resets_total")
	logins := a.logins()
	logins.begin()
	logins.more(t, 1)

	stop := a.floods()
	most := 0
	harness.Eventually(t, floodPatience, "each kind of flood is refused and counted", func() bool {
		most = max(most, descriptorsOf(t, victim.PID))
		return a.refused("flood", "silent", "gossip", "size", "certificate", "tls", "hello")
	})
	logins.more(t, 2)
	a.keeps()
	stop()
	for reason, say := range a.strangers() {
		a.calls(reason, say)
	}
	stranger := a.otherKey()
	harness.Eventually(t, floodPatience, "the log tells of another key", func() bool { return a.logged("another cluster.key_file") })
	harness.Eventually(t, floodPatience, "the server with another key tells, too", func() bool {
		return strings.Contains(stranger.Log(), "another cluster.key_file than this one")
	})
	stranger.Kill(t) // it has never begun

	logins.end(t)
	harness.Eventually(t, floodPatience, "one more server may be lost", func() bool {
		st, err := xmppd.AskClusterStatus(t.Context(), filepath.Join(a.dir, victim.ID))
		return err == nil && st.Records != nil && st.Records.Survives
	})

	longest, done := store()
	t.Logf("store: %d operations, longest %v; chat: %s; %.0f MiB more memory, %d descriptors more, cut off %v times", done, longest, chat(),
		harness.ProcMiB(victim.PID, "VmHWM:")-before, most-opened, a.metric("xmppd_cluster_link_resets_total")-resets)
	if grown := harness.ProcMiB(victim.PID, "VmHWM:") - before; grown > maxGrowth {
		t.Errorf("it took %.0f MiB more", grown)
	}
	if most-opened > maxStrangers {
		t.Errorf("it had %d descriptors more", most-opened)
	}
	if n := strings.Count(a.log(), "level=WARN"); n > warnings {
		t.Errorf("%d lines in the log", n)
	}
}

// chatAcross has a client of the first server write to one of the second, until the function is called: it waits until each message has
// come, or come back as it may where servers were cut off from each other, and tells how many did which; none may do so twice.
func chatAcross(t *testing.T, c *devcluster.Cluster) (stop func() string) {
	t.Helper()
	info := c.Info()
	login := func(account string, server int) *harness.Raw {
		cfg, err := info.Config(account)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Addrs = []string{info.Servers[server].C2S}
		return harness.Login(t, cfg)
	}
	from, to := login("user1", 0), login("user2", 1)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	sent := 0
	wg.Go(func() {
		for ; ctx.Err() == nil; sent++ {
			from.Send(fmt.Appendf(nil, "<message type='chat' id='chat-%d.' to='%s'><body>x</body></message>", sent, to.JID()))
			time.Sleep(5 * time.Millisecond) // the pace of the chat
		}
	})
	return func() string {
		cancel()
		wg.Wait()
		var come, back []harness.Message
		harness.Eventually(t, floodPatience, "all messages have come, or come back", func() bool {
			come, back = to.Messages(), from.Messages()
			return len(come)+len(back) >= sent
		})
		seen := make(map[string]bool)
		for _, m := range append(come, back...) {
			_, id, _ := strings.Cut(string(m.XML), "chat-")
			id, _, _ = strings.Cut(id, ".")
			if seen[id] {
				t.Errorf("message %s twice", id)
			}
			seen[id] = true
		}
		return fmt.Sprintf("%d sent, %d came, %d came back", sent, len(come), len(back))
	}
}

func descriptorsOf(t *testing.T, pid int) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Skip("not run: it takes /proc to see what a process has open: ", err)
	}
	return len(open)
}

// floods are all under way until stop is called.
func (a *attack) floods() (stop func()) {
	ctx, cancel := context.WithCancel(a.t.Context())
	var wg sync.WaitGroup
	domain := a.cluster.Info().Domain
	label := "\xf4" + string(rune(len(domain))) + domain
	own, other := a.certificate("x1"), a.otherCertificate()
	kinds := []func(context.Context, net.Conn){
		hold(""), hold("\x16\x03\x01\x02\x00\x01"), hold(label + "\x0a"), hold("GET / HTTP/1.0\r\n\r\n"),
		endless(label + "\x0a\x01\x00\x00\x00"),
		a.handshake(other, func(net.Conn) {}),
		a.handshake(own, func(c net.Conn) { _, _ = c.Write([]byte("\xff\xff{}")) }),
		a.handshake(own, func(c net.Conn) { drip(ctx, c) }),
	}
	for i, kind := range kinds {
		from := net.IPv4(127, 0, 9, byte(1+i))
		for range attackers {
			wg.Go(func() {
				for ctx.Err() == nil {
					a.connection(ctx, from, kind)
				}
			})
		}
	}
	wg.Go(func() { a.packets(ctx, label) })
	return func() {
		cancel()
		wg.Wait()
	}
}

// hold says something and waits until the connection is closed.
func hold(what string) func(context.Context, net.Conn) {
	return func(_ context.Context, c net.Conn) {
		_, _ = c.Write([]byte(what)) // it may be closed already
		_, _ = c.Read(make([]byte, 1))
	}
}

// endless says something and then all that is taken.
func endless(what string) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		_, err := c.Write([]byte(what))
		for piece := make([]byte, 64<<10); err == nil && ctx.Err() == nil; {
			_, err = c.Write(piece)
		}
	}
}

// drip begins a hello of 4,000 bytes and sends one now and then.
func drip(ctx context.Context, c net.Conn) {
	_, err := c.Write([]byte{0x0f, 0xa0})
	for err == nil && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond) // between two bytes
		_, err = c.Write([]byte("{"))
	}
}

// packets sends garbage by UDP, some of it with the name of the cluster.
func (a *attack) packets(ctx context.Context, label string) {
	c, err := net.Dial("udp", a.to.Cluster)
	if err != nil {
		a.t.Error(err)
		return
	}
	defer c.Close() //nolint:errcheck // nothing waits in it
	for n := 0; ctx.Err() == nil; n++ {
		b := make([]byte, 10+n%1400)
		_, _ = rand.Read(b)
		if n%2 == 0 {
			b = append([]byte(label), b...)
		}
		_, _ = c.Write(b) // what is lost is lost
		if n%100 == 99 {
			time.Sleep(time.Millisecond) // so that something is left of a machine of two cores
		}
	}
}
