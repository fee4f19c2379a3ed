package mission

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/test/harness"
)

// returner is a client that is back as soon as it can.
type returner struct {
	mu    sync.Mutex
	ups   int
	heard strings.Builder
}

func (r *returner) Up(c *xmppconn.Conn) {
	_ = c.Send([]byte("<presence/>")) // a stream that has ended is told by Down
	c.Flush()
	r.mu.Lock()
	r.ups++
	r.mu.Unlock()
}

func (r *returner) Stanza(_ *xmppconn.Conn, st *stanza.Stanza) bool {
	r.mu.Lock()
	r.heard.Write(st.Raw)
	r.mu.Unlock()
	return st.Kind != stanza.IQ
}

func (*returner) Idle(*xmppconn.Conn) {}
func (*returner) Down(error)          {}

func (r *returner) has(ups int, text string) func() bool {
	return func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.ups >= ups && strings.Contains(r.heard.String(), text)
	}
}

// checkServerDeath kills one of three servers: its client is back at another one by itself, and the clients of
// the others see nothing but that client's presence.
func checkServerDeath(t *testing.T) {
	const patience = 60 * time.Second
	sv := harness.StartServers(t, binary, harness.ServersOptions{N: 3, Group: []string{"alice", "bob", "carol"}})
	var addrs []string
	for _, i := range []int{2, 0, 1} {
		addrs = append(addrs, sv.All[i].Addr(t, "clients"))
	}
	carol := new(returner)
	ctx, end := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = xmppconn.Run(ctx, xmppconn.Config{ // it ends with the context's error
			JID: "carol@" + harness.Domain, Password: harness.Password, Resource: "c", Addrs: addrs, InsecurePlaintext: true,
		}, carol)
	})
	defer wg.Wait()
	defer end()
	harness.Eventually(t, patience, "carol is there", carol.has(1, ""))
	alice, bob := harness.Listen(sv.All[0].Login(t, "alice", "a")), harness.Listen(sv.All[1].Login(t, "bob", "b"))
	for _, e := range []*harness.Ear{alice, bob} {
		e.Send("<presence/>")
		e.Await(t, "from='carol@"+harness.Domain+"/c'", 1)
	}
	sv.Quiet()
	chat := harness.Keep("chat", alice, bob.JID)
	chat.More(t, 20)

	began := time.Now()
	sv.All[2].Kill(t)
	harness.Eventually(t, patience, "carol is back", carol.has(2, ""))
	t.Logf("its client is back after %v", time.Since(began).Round(time.Millisecond))
	sv.Whole()
	chat.More(t, 20)
	alice.Send("<message type='chat' to='carol@" + harness.Domain + "/c'><body>welcome back</body></message>")
	harness.Eventually(t, patience, "carol is found where she is now", carol.has(2, "welcome back"))
	chat.Stop()
	sv.Quiet()
	if o := chat.Settle(t, bob); o.Delivered != o.Sent {
		t.Errorf("chat between the servers that live: %v", o)
	}
	for _, e := range []*harness.Ear{alice, bob} {
		all := e.Heard()
		if e.Ended() || strings.Contains(all, "type='error'") || strings.Contains(all, "stream:error") {
			t.Errorf("%s saw an error: ended %v", e.JID, e.Ended())
		}
		there, gone := presences(all, "carol@"+harness.Domain+"/c")
		if there < 2 || gone >= there {
			t.Errorf("%s saw carol come %d times and go %d times: %s", e.JID, there, gone, all)
		}
	}
}

// presences counts the presence of a full JID in what somebody has heard: available and unavailable.
func presences(all, full string) (there, gone int) {
	for _, p := range strings.Split(all, "<presence")[1:] {
		head, _, _ := strings.Cut(p, ">")
		switch {
		case !strings.Contains(head, "from='"+full+"'"):
		case strings.Contains(head, "type='unavailable'"):
			gone++
		case !strings.Contains(head, " type='"):
			there++
		}
	}
	return there, gone
}
