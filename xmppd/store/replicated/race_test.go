package replicated

import "testing"

// TestConflictRests: however often an update has lost, it does not rest longer than others update, nor do two rest alike.
func TestConflictRests(t *testing.T) {
	a, b := (&Store{}).newTry(t.Context()), (&Store{}).newTry(t.Context())
	alike, long := 0, 0
	for range 100 {
		x, y := a.nextConflictRest(), b.nextConflictRest()
		if x <= 0 || x > lastConflictRest {
			t.Fatalf("a rest of %v", x)
		}
		if x == y {
			alike++
		}
		if x >= lastConflictRest/2 {
			long++
		}
	}
	if alike > 10 || long < 50 {
		t.Errorf("of 100 rests %d were alike, %d long", alike, long)
	}
}
