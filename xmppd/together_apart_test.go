package xmppd_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/cluster/clustertest"
)

// TestFoundedApart: of two servers that were founded apart each says in its status and on healthz that the other one refuses it.
func TestFoundedApart(t *testing.T) {
	ca := clustertest.New(t)
	serve := func(cfg xmppd.Config) *xmppd.Server {
		s, err := xmppd.Start(t.Context(), cfg, xmppd.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := founder(t, ca)
	second := founder(t, ca)
	second.Cluster = xmppd.ClusterOf(t, ca, "x2")
	first.ListenHTTP, second.ListenHTTP = "127.0.0.1:0", "127.0.0.1:0"
	if err := serve(second).Close(); err != nil {
		t.Fatal(err)
	}
	x1 := serve(first)
	t.Cleanup(func() { _ = x1.Close() })
	second.Cluster.Join = []string{x1.Node().Addr()}
	x2 := serve(second)
	t.Cleanup(func() { _ = x2.Close() })
	for _, s := range []*xmppd.Server{x1, x2} {
		eventually(t, "its status names the reason", func() bool {
			st, err := s.ClusterStatus()
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range st.Servers {
				if !x.Self && strings.Contains(x.Reason, "founded apart") {
					return true
				}
			}
			return false
		})
		if _, body := healthz(t, s); !strings.Contains(body, "is refused by") || !strings.Contains(body, "founded apart") {
			t.Errorf("healthz: %s", body)
		}
	}
}
