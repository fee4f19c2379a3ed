package last

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEndsAreKept: ends of sessions are known at once, are stored when the server ends at the
// latest, and an account that is gone gets no record.
func TestEndsAreKept(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	m := &Module{
		Store: storetest.NewMemory("d"), Table: session.NewTable(), Log: slog.New(slog.DiscardHandler),
		Exists: func(r store.Reader) (bool, error) {
			_, err := r.Get("account", nil)
			return err == nil, nil
		},
		Now: func() time.Time { return now },
	}
	const accounts = 200
	for i := range accounts {
		name := fmt.Sprintf("u%d", i)
		if i > 0 { // the first is gone
			if err := m.Store.Update(t.Context(), name, func(tx store.Tx) error { return tx.Put("account", nil, nil) }); err != nil {
				t.Fatal(err)
			}
		}
		m.ended(t.Context(), session.New(stanza.JID{Local: name, Domain: "d", Resource: "r"}))
	}
	if at, err := m.end(t.Context(), "u7"); err != nil || !at.Equal(now) {
		t.Errorf("before it is stored: %v, %v", at, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	m.Run(ctx)
	if len(m.unkept) != 0 {
		t.Errorf("%d ends are not kept", len(m.unkept))
	}
	for i := range accounts {
		at, err := m.end(t.Context(), fmt.Sprintf("u%d", i))
		if i == 0 {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("an account that is gone: %v, %v", at, err)
			}
		} else if err != nil || !at.Equal(now) {
			t.Errorf("u%d: %v, %v", i, at, err)
		}
	}
}
