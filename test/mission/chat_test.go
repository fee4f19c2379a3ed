package mission

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

// chat is a conversation that goes on while something else happens.
type chat struct {
	to   *harness.Raw
	done chan struct{}
	wg   sync.WaitGroup
	sent int // read after wg
}

// startChat has the operator send user1 a message every few milliseconds.
func startChat(t *testing.T, info *devcluster.Info) *chat {
	t.Helper()
	login := func(account string) *harness.Raw {
		cfg, err := info.Config(account)
		if err != nil {
			t.Fatal(err)
		}
		return harness.Login(t, cfg)
	}
	c := &chat{to: login("user1"), done: make(chan struct{})}
	from := login("operator")
	c.wg.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-c.done:
				return
			case <-tick.C:
				from.Send(fmt.Appendf(nil, "<message to='%s' type='chat'><body>line %d.</body></message>", c.to.JID(), c.sent))
				c.sent++
			}
		}
	})
	return c
}

// stop ends the conversation: every line has come, in order, and nothing else.
func (c *chat) stop(t *testing.T) {
	t.Helper()
	close(c.done)
	c.wg.Wait()
	harness.Eventually(t, harness.Patience, "all lines of the chat", func() bool { return len(c.to.Messages()) >= c.sent })
	for i, m := range c.to.Messages() {
		if want := fmt.Sprintf("line %d.", i); !strings.Contains(string(m.XML), want) {
			t.Fatalf("message %d of the chat is %s, want %q", i, m.XML, want)
		}
	}
	if c.sent == 0 {
		t.Error("nothing was said")
	}
}
