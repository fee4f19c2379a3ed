package appclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurns: who has lost first goes on first, one at a time, and those who come wait once the first has lost again.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		ctx := t.Context()
		at := func() *place { return &place{turns: &all, root: "r"} }
		first := at()
		if err := first.lost(ctx, 1, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		fresh := at()
		if err := fresh.arrive(ctx); err != nil || fresh.turn != nil {
			t.Errorf("who has not lost waits though the first has lost once: %v", err)
		}
		fresh.leave()
		if err := first.lost(ctx, lossesToShut, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		var order []int
		for i := range 3 {
			go func() {
				p := at()
				wait := p.arrive // 1 has not lost
				if i != 1 {
					wait = func(ctx context.Context) error { return p.lost(ctx, 1, time.Millisecond) }
				}
				if err := wait(ctx); err != nil {
					t.Error(err)
				}
				order = append(order, i)
				p.leave()
			}()
			synctest.Wait()
		}
		if len(order) != 0 {
			t.Errorf("%v go on beside the first", order)
		}
		first.leave()
		synctest.Wait()
		if !slices.Equal(order, []int{0, 1, 2}) || len(all.lines) != 0 {
			t.Errorf("they went on as %v; %d lines are left", order, len(all.lines))
		}
	})
}

// TestTurnTime: a first that makes no attempt does not hold up the others for ever, and one that tries again and
// again does not let them by.
func TestTurnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		ctx := t.Context()
		first, second := &place{turns: &all, root: "r"}, &place{turns: &all, root: "r"}
		if err := first.lost(ctx, 1, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		begun, passed := time.Now(), make(chan time.Duration, 1)
		go func() {
			if err := second.lost(ctx, 1, time.Millisecond); err != nil {
				t.Error(err)
			}
			passed <- time.Since(begun)
		}()
		time.Sleep(turnTime * 3 / 4) // of the bubble
		if err := first.lost(ctx, 2, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if after := <-passed; after != turnTime*7/4 {
			t.Errorf("the second goes on after %v, want %v after the last attempt of the first", after, turnTime)
		}
		second.leave()
		first.leave()
		if len(all.lines) != 0 {
			t.Errorf("%d lines are left", len(all.lines))
		}
	})
}

// TestTurnEnds: a context ends the wait, and the place is free.
func TestTurnEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		first, second := &place{turns: &all, root: "r"}, &place{turns: &all, root: "r"}
		if err := first.lost(t.Context(), 1, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		why := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		if err := second.lost(ctx, 1, time.Millisecond); !errors.Is(err, why) {
			t.Error(fmt.Errorf("while it waits: %w", err))
		}
		second.leave()
		if err := first.lost(ctx, 2, time.Hour); !errors.Is(err, why) {
			t.Error(fmt.Errorf("while it pauses: %w", err))
		}
		first.leave()
		if len(all.lines) != 0 {
			t.Errorf("%d lines are left", len(all.lines))
		}
	})
}
