package sweep

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

// TestSweep: every owner of the collection has its turn in every round, as often as it has more to
// do, and an error ends the round, not the sweeper.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := storetest.NewMemory("d")
		for _, owner := range []string{"a", "b", "c"} {
			if err := st.Update(t.Context(), owner, func(tx store.Tx) error { return tx.Put("things", nil, nil) }); err != nil {
				t.Fatal(err)
			}
		}
		steps := make(chan string, 100)
		round := func() (list []string) { // what there was since the last call
			synctest.Wait()
			for len(steps) > 0 {
				list = append(list, <-steps)
			}
			return list
		}
		fail, turns := true, 0
		s := Sweeper{Store: st, Collection: "things", Every: time.Hour, Pause: time.Second, Log: slog.New(slog.DiscardHandler)}
		s.Step = func(_ context.Context, owner string) (bool, error) {
			steps <- owner
			turns++
			if owner == "b" && fail {
				fail = false
				return true, errors.New("a disk")
			}
			return owner == "a" && turns < 2, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		time.Sleep(time.Hour + 10*time.Second) // of the bubble: one round
		if got, want := round(), []string{"a", "a", "b"}; !slices.Equal(got, want) {
			t.Errorf("the first round: %q, want %q", got, want)
		}
		time.Sleep(time.Hour)
		if got, want := round(), []string{"a", "b", "c"}; !slices.Equal(got, want) {
			t.Errorf("the second round: %q, want %q", got, want)
		}
		cancel()
		<-done
	})
}
