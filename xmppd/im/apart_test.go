package im_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// unread is a module whose lists of some accounts can't be had.
type unread struct{ patience time.Duration }

func (unread) Info() module.Info      { return module.Info{Name: "unread"} }
func (unread) Features() []string     { return nil }
func (unread) Routes() []module.Route { return nil }

func (u unread) Extend(e *module.Extension) {
	e.Blocks = func(ctx context.Context, owner, _ stanza.JID) (bool, error) {
		if !strings.HasPrefix(owner.Local, "lost") {
			return owner.Local == "blocks", nil
		}
		late, stop := context.WithTimeout(ctx, u.patience)
		defer stop()
		<-late.Done()
		return false, late.Err()
	}
}

// TestPartsAreNotWaitedForInTurn: who has many contacts whose records can't be had waits for one of them, and once for all the
// others, on a clock of the test's own; those that can be had count.
func TestPartsAreNotWaitedForInTurn(t *testing.T) {
	const patience, lost = 10 * time.Second, 30
	for _, planted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, im.Faults{InTurn: planted})
			defer w.im.Close()
			if err := w.router.Add(unread{patience}); err != nil {
				t.Fatal(err)
			}
			names := []string{"b", "blocks"}
			for i := range lost {
				names = append(names, fmt.Sprintf("lost%d", i))
			}
			for _, name := range names {
				if err := w.im.Put(t.Context(), "a", account.Item{Contact: name + "@d", Subscription: account.SubFrom}); err != nil {
					t.Fatal(err)
				}
			}
			w.say("b@d/1", "<presence/>")
			begin := time.Now()
			w.say("a@d/1", "<presence/>")
			if took := time.Since(begin); (took > 2*patience+time.Second) != planted {
				t.Errorf("planted %v: took %s", planted, took)
			}
			if _, told := w.actor("b@d/1").seen["a@d/1"]; !told {
				t.Errorf("planted %v: who can be had is told nothing", planted)
			}
		})
	}
}
