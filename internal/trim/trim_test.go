package trim

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestDue: never during work, once after it, and not again for nothing.
func TestDue(t *testing.T) {
	var w watch
	allocated := uint64(0)
	step := func(n uint64) bool {
		allocated += n
		return w.due(allocated, 80<<20)
	}
	for range 5 {
		if step(1 << 20) {
			t.Fatal("trims under load")
		}
	}
	if step(0) {
		t.Error("trims for less than a part of what is alive")
	}
	if step(20 << 20) {
		t.Error("trims under load")
	}
	if !step(1000) {
		t.Error("doesn't trim after a burst")
	}
	w.trimmed(allocated)
	for range 5 {
		if step(1000) {
			t.Error("trims again for nothing")
		}
	}
}

// TestRun: garbage that nothing else would collect goes back.
func TestRun(t *testing.T) {
	garbage := make([][]byte, 64)
	for i := range garbage {
		garbage[i] = make([]byte, 1<<20)
	}
	goesBack(t, func() { garbage = nil })
}

// TestRunEmptiesPools: what lies in a pool goes back, too.
func TestRunEmptiesPools(t *testing.T) {
	percent := debug.SetGCPercent(-1) // or a collection on the way would do it
	defer debug.SetGCPercent(percent)
	var pool sync.Pool
	for range 64 {
		b := make([]byte, 1<<20)
		pool.Put(&b)
	}
	goesBack(t, func() {})
	runtime.KeepAlive(&pool)
}

// goesBack waits until most of 64 MiB that free frees are given back.
func goesBack(t *testing.T, free func()) {
	t.Helper()
	released := func() uint64 {
		s := []metrics.Sample{{Name: "/memory/classes/heap/released:bytes"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	before := released()
	free()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		Run(ctx, 5*time.Millisecond, Heap{})
		close(done)
	}()
	for released() < before+48<<20 && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond) // between looks
	}
	if ctx.Err() != nil {
		t.Errorf("released %d bytes, %d before", released(), before)
	}
	cancel()
	<-done
}
