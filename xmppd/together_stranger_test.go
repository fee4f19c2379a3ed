package xmppd_test

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/cluster"
	"github.com/rosterdb/rosterdb/xmppd/cluster/clustertest"
)

// strangerSeen has somebody with the gossip's key, and a certificate of another authority, say that he joins a whole cluster, and
// returns what one of its servers then tells of the records.
func strangerSeen(t *testing.T, own xmppd.Together) *xmppd.ClusterRecords {
	t.Helper()
	x := startTrio(t, trioOptions{own: own})
	eventually(t, "any server may be lost", func() bool { return x.records(t).Survives })
	other := clustertest.New(t)
	n, err := cluster.New(cluster.Config{
		Name: "x4", Cluster: domain, Listen: "127.0.0.1:0", Join: []string{x.servers[0].Node().Addr()}, Key: []byte("0123456789abcdef"),
		Certificate: other.Sign(t, "x4"), Authority: other.Pool, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the servers have heard of him", func() bool {
		st, err := x.servers[0].ClusterStatus()
		return err == nil && slices.ContainsFunc(st.Servers, func(s xmppd.ClusterServer) bool {
			return s.Name == "x4" && s.State == string(cluster.Joining) && !s.Connected
		})
	})
	return x.records(t)
}

// records are those of the cluster, as its first server sees them.
func (x *trio) records(t *testing.T) *xmppd.ClusterRecords {
	t.Helper()
	st, err := x.servers[0].ClusterStatus()
	if err != nil {
		t.Fatal(err)
	}
	return st.Records
}

// TestStranger: who has the gossip's key and proves no name does not keep the cluster from being whole.
func TestStranger(t *testing.T) {
	if r := strangerSeen(t, xmppd.Together{}); !r.Survives {
		t.Errorf("a stranger counts: %+v", r)
	}
}

// TestStrangerNoticesFaults: the test above would notice it.
func TestStrangerNoticesFaults(t *testing.T) {
	if r := strangerSeen(t, xmppd.Together{AnyJoining: true}); r.Survives {
		t.Error("the planted bug does not show")
	}
}
