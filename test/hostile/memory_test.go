package hostile

import (
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

// heap is how many bytes of objects the last collection found to be held. Dead ones do not count:
// how many of those lie about says how seldom it was collected, not what the server holds.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// growth runs f and returns by how much more the heap has held meanwhile than before. It is
// collected at every tenth that it grows, so that a peak is not missed.
func growth(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	runtime.GC()
	before := heap()
	var peak atomic.Uint64
	peak.Store(before)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				peak.Store(max(peak.Load(), heap()))
			case <-stop:
				return
			}
		}
	})
	f()
	close(stop)
	wg.Wait()
	runtime.GC()
	return max(peak.Load(), heap()) - before
}

const mib = 1 << 20

// pour sends a beginning and then a text over and over, at most n bytes, until the server has had
// enough, and returns how many it took.
func pour(c *xmppraw.Client, begin, again string, n int) int {
	if c.TrySend(begin) != nil {
		return 0
	}
	piece := []byte(strings.Repeat(again, (64<<10)/len(again)))
	sent := len(begin)
	for sent < n {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(xmppraw.Patience))
		k, err := c.Conn.Write(piece)
		if sent += k; err != nil {
			break
		}
	}
	return sent
}

// floods never end.
func floods() []struct{ name, begin, again string } {
	return []struct{ name, begin, again string }{
		{"text", "<message><body>", "a"},
		{"white space", "<message><body>", " "},
		{"CDATA", "<message><body><![CDATA[", "]"},
		{"value", "<message to='", "a"},
		{"name", "<", "a"},
		{"attributes", "<message ", "a='' "},
		{"depth", "<message>", "<a>"},
		{"empty elements", "<message>", "<a/>"},
		{"namespaces", "<message>", "<a xmlns:b='urn:c'>"},
		{"references", "<message><body>", "&amp;"},
		{"end tag", "</stream:stream", " "},
	}
}

// TestEndlessInput: what never ends is cut off at the limit, and never held.
func TestEndlessInput(t *testing.T) {
	const each, allowed = 32 * mib, 32 * mib
	s := xmppraw.Start(t)
	by := chat(t, s)
	grew := growth(func() {
		var wg sync.WaitGroup
		for i, f := range floods() {
			for j, from := range []stage{bound, boundTLS} {
				c := from(t, s, fmt.Sprint("r", i, j))
				wg.Go(func() {
					if n := pour(c, f.begin, f.again, each); n >= each {
						t.Errorf("%s: the server took all of %d bytes", f.name, n)
					}
				})
			}
		}
		by.goOn(t, 5)
		wg.Wait()
	})
	if grew > allowed {
		t.Errorf("the heap grew by %d bytes for %d streams of %d", grew, 2*len(floods()), each)
	}
}

// TestBufferingIsNoticed: with a limit that lets a server hold what comes, the same measure
// exceeds the bound; so it can.
func TestBufferingIsNoticed(t *testing.T) {
	s := xmppraw.Start(t, func(c *xmppd.Config) { c.Limits.StanzaBytes = 512 * mib })
	c := bound(t, s, "r")
	if grew := growth(func() { pour(c, "<message><body>", "a", 48*mib) }); grew < 32*mib {
		t.Errorf("the heap grew by %d bytes only while 48 MiB were held", grew)
	}
}

// TestThousandsOfSilentConnections: from several addresses, they cost little memory each, hold up
// nobody, and end with the time for logging in.
func TestThousandsOfSilentConnections(t *testing.T) {
	const each, sources, perConn = 500, 8, 20 << 10
	s := xmppraw.Start(t, func(c *xmppd.Config) { c.Limits.NegotiationSeconds = 5 })
	by := chat(t, s)
	plain, direct, _ := s.Addrs()
	conns := make([]net.Conn, 0, each*sources)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	grew := growth(func() {
		for i := range each * sources {
			addr := plain
			if i%2 == 1 {
				addr = direct
			}
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%sources))}, Timeout: xmppraw.Patience}
			c, err := d.Dial("tcp", addr)
			if err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
			conns = append(conns, c)
		}
		by.goOn(t, 20)
		xmppraw.Online(t, s, "carol", "late") // somebody new gets in
	})
	if grew > each*sources*perConn {
		t.Errorf("%d silent connections take %d bytes of heap, both ends", each*sources, grew)
	}
	for i, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(2 * xmppraw.Patience))
		if _, err := c.Read(make([]byte, 1)); i%2 == 1 && err == nil {
			t.Fatal("a silent TLS connection was told something")
		} else if ne, ok := err.(net.Error); ok && ne.Timeout() { //nolint:errorlint // as it comes from the connection
			t.Fatalf("silent connection %d lives on", i)
		}
	}
}

// TestDeafClient: messages to a client that does not read fill its queue up to the limit; then it
// loses its session and the messages come back, and nobody has waited for it.
func TestDeafClient(t *testing.T) {
	const queue = mib
	for name, from := range map[string]stage{"plain": bound, "TLS": boundTLS} {
		t.Run(name, func(t *testing.T) {
			s := xmppraw.Start(t, func(c *xmppd.Config) { c.Limits.QueueBytes = queue })
			by := chat(t, s)
			deaf := from(t, s, "deaf")
			sender := xmppraw.Login(t, s, "carol", "sender")
			body := xmppraw.Message(deaf.JID, strings.Repeat("a", 50_000))
			messages := 64 * mib / len(body)
			grew := growth(func() {
				sent := make(chan error, 1)
				go func() {
					var err error
					for i := 0; i < messages && err == nil; i++ {
						err = sender.TrySend(body)
					}
					sent <- err
				}()
				sender.Want("<error type='") // while the session ends resource-constraint, then service-unavailable
				// Half of all, at the least, come back: the kernel's buffers are not that large.
				for range messages / 2 {
					sender.Want("</error></message>")
				}
				by.goOn(t, 5)
				if err := <-sent; err != nil {
					t.Errorf("the sender was held up: %v", err)
				}
			})
			if grew > 40*mib {
				t.Errorf("the heap grew by %d bytes for a queue of %d", grew, queue)
			}
		})
	}
}

// TestDeafAttacker: one who asks without reading the answers is cut off at the limit of its queue.
func TestDeafAttacker(t *testing.T) {
	s := xmppraw.Start(t, func(c *xmppd.Config) { c.Limits.QueueBytes = mib })
	by := chat(t, s)
	for name, from := range map[string]stage{"plain": bound, "TLS": boundTLS} {
		t.Run(name, func(t *testing.T) {
			c := from(t, s, "deaf-"+name)
			ask := "<iq type='get' id='" + strings.Repeat("&apos;", 2000) + "' to='" + xmppraw.Domain + "'><ping xmlns='urn:xmpp:ping'/></iq>"
			grew := growth(func() {
				if n := pour(c, "", ask, 256*mib); n >= 256*mib {
					t.Error("the server answers one who does not read without an end")
				}
				by.goOn(t, 5)
			})
			if grew > 40*mib {
				t.Errorf("the heap grew by %d bytes", grew)
			}
		})
	}
}
