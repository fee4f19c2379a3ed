package xmppd_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/cluster/clustertest"
	"github.com/rosterdb/rosterdb/xmppd/store/bolt"
)

// formerly is a directory with the accounts of a server that was never of a cluster, and a message kept for bob.
func formerly(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cfg := xmppd.Defaults()
	cfg.IO = *ioStrategy
	cfg.Domain, cfg.Data = domain, dir
	cfg.ListenC2S, cfg.ListenTLS, cfg.ListenHTTP = "127.0.0.1:0", "", ""
	cfg.InsecurePlaintext = true
	s, err := xmppd.Start(t.Context(), cfg, xmppd.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice", "bob"} {
		if err := s.Accounts().Add(t.Context(), name, password, ""); err != nil {
			t.Error(err)
		}
	}
	a := login(t, s, "alice", "a")
	a.Send("<message to='bob@" + domain + "' type='chat'><body>from before</body></message>")
	a.Sync()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// clustered is the configuration of a server of a cluster on such a directory.
func clustered(t *testing.T, ca *clustertest.Authority, dir, name string, join ...string) xmppd.Config {
	t.Helper()
	cfg := xmppd.Defaults()
	cfg.IO = *ioStrategy
	cfg.Domain, cfg.Data = domain, dir
	cfg.ListenC2S, cfg.ListenTLS, cfg.ListenHTTP = "127.0.0.1:0", "", ""
	cfg.InsecurePlaintext = true
	cfg.Cluster = xmppd.ClusterOf(t, ca, name, join...)
	return cfg
}

// TestFounderKeepsItsRecords: what a server had alone is the cluster's, also if the server crashes meanwhile.
func TestFounderKeepsItsRecords(t *testing.T) {
	dir, ca := formerly(t), clustertest.New(t)
	crash := errors.New("crash")
	var copied atomic.Int64
	_, err := xmppd.StartTogether(t.Context(), clustered(t, ca, dir, "x1"), xmppd.Options{Log: slog.New(slog.DiscardHandler)}, xmppd.Together{
		Replicas: quick, Migrate: func(n int64) error { copied.Store(n); return crash },
	})
	if !errors.Is(err, crash) || copied.Load() == 0 {
		t.Fatalf("the crash: %v after %d records", err, copied.Load())
	}
	s, err := xmppd.StartTogether(t.Context(), clustered(t, ca, dir, "x1"), xmppd.Options{Log: slog.New(slog.DiscardHandler)}, xmppd.Together{Replicas: quick})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	login(t, s, "alice", "a")
	b := login(t, s, "bob", "b")
	b.Send("<presence/>")
	b.Want("from before")
	b.Sync()
	file := filepath.Join(dir, bolt.FileName)
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old file is in its place: %v", err)
	}
	if _, err := os.Stat(file + ".before-cluster"); err != nil {
		t.Error(err)
	}
}

// TestJoinerWithRecords: two sets of accounts are not merged.
func TestJoinerWithRecords(t *testing.T) {
	ca := clustertest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := xmppd.StartTogether(ctx, clustered(t, ca, formerly(t), "x2", "127.0.0.1:1"), xmppd.Options{Log: slog.New(slog.DiscardHandler)}, xmppd.Together{Replicas: quick})
	if err == nil || !strings.Contains(err.Error(), "can't be merged") {
		t.Errorf("a joiner with accounts of its own: %v", err)
	}
}
