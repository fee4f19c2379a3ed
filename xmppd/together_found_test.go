package xmppd_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/cluster"
	"github.com/rosterdb/rosterdb/xmppd/cluster/clustertest"
)

// TestFoundIsLeftOver: a server that may found a cluster and finds one says that it had better not; who has founded it does not.
func TestFoundIsLeftOver(t *testing.T) {
	x := startTrio(t, trioOptions{n: 2, cfg: func(c *xmppd.Config) { c.Cluster.Found = true }})
	if n := strings.Count(x.log.String(), "cluster.found = true has no effect"); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// TestFounderWaitsForStrangers: a founder does not found while gossip tells of a server that it can't reach, which may be of an older
// cluster, and says so.
func TestFounderWaitsForStrangers(t *testing.T) {
	ca, other, log := clustertest.New(t), clustertest.New(t), new(logs)
	n, err := cluster.New(cluster.Config{
		Name: "x4", Cluster: domain, Listen: "127.0.0.1:0", Key: []byte("0123456789abcdef"),
		Certificate: other.Sign(t, "x4"), Authority: other.Pool, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := clustered(t, ca, t.TempDir(), "x1", n.Addr())
	cfg.Cluster.Found = true
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() {
		_, err := xmppd.Start(ctx, cfg, xmppd.Options{Log: slog.New(slog.NewTextHandler(log, nil))})
		done <- err
	}()
	log.wait(t, "no cluster is founded while there are servers that can't be reached")
	stop()
	if err := <-done; !errors.Is(err, xmppd.ErrStopped) || strings.Contains(log.String(), "a new cluster of servers is founded") {
		t.Errorf("%v\n%s", err, log.String())
	}
}
