package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"github.com/rosterdb/rosterdb/datanode"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// childVar holds, in a child process, the child's settings.
const childVar = "ROSTERDB_TEST_CHILD"

type childConfig struct {
	Dir, JID, Addr string
	Apps           []string
}

// runChild is the life of a test binary that was started as a data node, to be
// killed.
func runChild() {
	var c childConfig
	if err := json.Unmarshal([]byte(os.Getenv(childVar)), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	err := datanode.Run(context.Background(), datanode.Config{
		Dir:       c.Dir,
		XMPP:      xmppconn.Config{JID: c.JID, Password: password, Addrs: []string{c.Addr}, InsecurePlaintext: true},
		Operators: []string{"operator@" + domain}, Apps: c.Apps, Version: "child",
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	fmt.Fprintln(os.Stderr, "child ended:", err)
	os.Exit(1)
}

// startChild runs node i as a process of its own.
func (c *cluster) startChild(i int) *exec.Cmd {
	c.t.Helper()
	settings, err := json.Marshal(childConfig{
		Dir: c.nodes[i].dir, JID: nodeName(i) + "@" + domain, Addr: c.srv.addr,
		Apps: []string{"app@" + domain},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childVar+"="+string(settings))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// TestKill kills all nodes in the middle of writes, twice, and reads every
// acknowledged value back.
func TestKill(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	for i := range c.nodes {
		c.stop(i)
	}
	app := c.rawClient("app")
	roots := []string{"a", "b", "c", "d"}
	sessions := make(map[string]op.Session)
	var acknowledged int
	for round := range 2 {
		var children []*exec.Cmd
		for i := range c.nodes {
			children = append(children, c.startChild(i))
		}
		c.awaitOnline()
		c.awaitLed()
		for i := range 40 {
			root := roots[i%len(roots)]
			if sessions[root] == 0 {
				sessions[root] = c.session(app, root)
			}
			seq := uint64(round*10 + i/len(roots) + 1)
			if res := c.write(app, put(sessions[root], seq, root, fmt.Sprint("k", acknowledged), []byte(fmt.Sprint("v", acknowledged)))); res.Code != op.OK {
				t.Fatalf("round %d, write %d: %+v", round, i, res)
			}
			acknowledged++
		}
		for i, ch := range children {
			if err := ch.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = ch.Wait()
			c.eventually("the killed node is gone from the roster", func() bool { return !c.view(i).Online })
		}
	}
	for i := range c.nodes {
		c.start(i)
	}
	c.awaitOnline()
	c.awaitLed()
	for k := range acknowledged {
		res := c.read(app, get(roots[k%40%len(roots)], fmt.Sprint("k", k)))
		if res.Code != op.OK || string(res.Objects[0].Value) != fmt.Sprint("v", k) {
			t.Fatalf("acknowledged write %d is lost: %+v", k, res)
		}
	}
}
