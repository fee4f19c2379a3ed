package storetest

import (
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	var mu sync.Mutex
	kept := make(map[string]*Memory)
	open := func(_ *testing.T, dir string) *Memory {
		mu.Lock()
		defer mu.Unlock()
		if kept[dir] == nil {
			kept[dir] = NewMemory("example.net")
		}
		kept[dir].closed = false
		return kept[dir]
	}
	t.Run("Plain", func(t *testing.T) { Run(t, func(t *testing.T, dir string) store.Store { return open(t, dir) }) })
	t.Run("Rerun", func(t *testing.T) { Run(t, func(t *testing.T, dir string) store.Store { return Rerun(open(t, dir)) }) })
}
