package bolt

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

const domain = "example.net"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openOrFail(t testing.TB, dir string, f faults) *Store {
	t.Helper()
	s, err := open(dir, domain, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string) store.Store { return openOrFail(t, dir, faults{}) })
}
