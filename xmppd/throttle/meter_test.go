package throttle

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestMeterKeepsTheRate: whoever waits as told gets the burst and the rate, and no more, whatever
// the portions.
func TestMeterKeepsTheRate(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rate := Rate{PerSecond: rapid.Int64Range(1, 10000).Draw(rt, "rate"), Burst: rapid.Int64Range(1, 10000).Draw(rt, "burst")}
		seed := rapid.SliceOfN(rapid.Int64Range(1, 500), 1, 300).Draw(rt, "portions")
		synctest.Test(t, func(t *testing.T) {
			var m Meter
			begin, spent, last := time.Now(), int64(0), int64(0)
			for _, n := range seed {
				spent, last = spent+n, n
				time.Sleep(m.Spend(n, time.Now().UnixNano(), rate))
			}
			took := time.Since(begin).Seconds()
			least := float64(spent-rate.Burst) / float64(rate.PerSecond)
			if took < least-0.001 {
				t.Errorf("%d at %+v took %.3f s, want %.3f at least", spent, rate, took, least)
			}
			if most := max(0, least) + float64(last)/float64(rate.PerSecond) + 0.001; took > most {
				t.Errorf("%d at %+v took %.3f s, want %.3f at most", spent, rate, took, most)
			}
		})
	})
}

// TestMeterRests: a rest gives the burst back, and not more.
func TestMeterRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rate := Rate{PerSecond: 10, Burst: 20}
		var m Meter
		for range 3 {
			if d := m.Spend(20, time.Now().UnixNano(), rate); d != 0 {
				t.Fatalf("a burst waits %v", d)
			}
			if d := m.Spend(5, time.Now().UnixNano(), rate); d != 500*time.Millisecond {
				t.Fatalf("5 too many wait %v", d)
			}
			time.Sleep(time.Hour)
		}
		if d := m.Spend(1<<40, time.Now().UnixNano(), Rate{}); d != 0 {
			t.Errorf("no limit waits %v", d)
		}
	})
}
