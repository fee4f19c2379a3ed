package trim

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func percentSet() int {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64())
}

// TestPercent: a small heap gets its percentage, a larger one so many bytes, a very large one a quarter.
func TestPercent(t *testing.T) {
	h := Heap{Percent: 200, Garbage: 128 << 20}
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 200},
		{1 << 20, 200},
		{64 << 20, 200},
		{128 << 20, 100},
		{256 << 20, 50},
		{512 << 20, 25},
		{16 << 30, 25},
	} {
		if got := h.percent(c.live); got != c.want {
			t.Errorf("%d MiB alive: %d percent, want %d", c.live>>20, got, c.want)
		}
	}
}

// TestFollow: what differs by less than a tenth is left alone, and so is everything without a Percent.
func TestFollow(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	h := Heap{Percent: 200, Garbage: 128 << 20}
	now := h.begin()
	for _, c := range []struct {
		live uint64
		want int
	}{{1 << 20, 200}, {66 << 20, 200}, {256 << 20, 50}, {250 << 20, 50}, {128 << 20, 100}, {1 << 20, 200}} {
		if now = h.follow(now, c.live); now != c.want {
			t.Errorf("%d MiB alive: %d percent, want %d", c.live>>20, now, c.want)
		}
		if set := percentSet(); set != c.want {
			t.Errorf("%d MiB alive: %d percent are set, want %d", c.live>>20, set, c.want)
		}
	}
	debug.SetGCPercent(77)
	if none := (Heap{}); none.follow(none.begin(), 1<<30) != 0 || percentSet() != 77 {
		t.Error("the zero value changes something")
	}
}

// TestRunFollows: a heap that has grown is collected sooner.
func TestRunFollows(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	grown := make([]byte, 32<<20)
	done := make(chan struct{})
	go func() {
		Run(ctx, time.Millisecond, Heap{Percent: 200, Garbage: 16 << 20})
		close(done)
	}()
	for ctx.Err() == nil && percentSet() > 50 {
		debug.FreeOSMemory() // so that there is a collection that has seen it
		time.Sleep(time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Error("the percentage has not changed")
	}
	runtime.KeepAlive(grown)
	cancel()
	<-done
}
