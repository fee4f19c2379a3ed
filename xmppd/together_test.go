package xmppd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/cluster/clustertest"
)

// clusterOf is the configuration of a server of a cluster on loopback.
func clusterOf(t *testing.T, ca *clustertest.Authority, name string, join ...string) ClusterConfig {
	t.Helper()
	key := filepath.Join(t.TempDir(), "gossip.key")
	if err := os.WriteFile(key, []byte("30313233343536373839616263646566\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := ClusterConfig{Redirect: "able", Listen: "127.0.0.1:0", Name: name, Join: join, KeyFile: key, Storage: "replicated"}
	c.CA, c.Cert, c.Key = ca.Files(t, name)
	return c
}
