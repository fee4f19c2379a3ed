package c2s

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

// TestDerivationsAreBounded: a password is not looked at before another derivation has ended, and
// who waits can give up.
func TestDerivationsAreBounded(t *testing.T) {
	records := storetest.NewMemory("example.net")
	accounts := account.NewStore(records)
	k256, k1, err := account.Derive("pencil", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []account.Account{{Name: "alice", SHA256: k256, SHA1: k1}, {Name: "portal"}} {
		if err := accounts.Create(t.Context(), &a); err != nil {
			t.Fatal(err)
		}
	}
	auth := NewStoreAuth(accounts)
	for range cap(auth.slots) {
		auth.slots <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if ok, err := auth.Password(ctx, "alice", "pencil"); ok || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with all slots taken: %v, %v", ok, err)
	}
	<-auth.slots
	if ok, err := auth.Password(t.Context(), "alice", "pencil"); !ok || err != nil {
		t.Errorf("with a free slot: %v, %v", ok, err)
	}
	// An account without keys is another system's: nobody logs in to it here.
	for _, pw := range []string{"", "pencil"} {
		if ok, err := auth.Password(t.Context(), "portal", pw); ok || err != nil {
			t.Errorf("account without keys: %v, %v", ok, err)
		}
	}
	if k, _, exists, err := auth.Keys(t.Context(), "portal"); exists || err != nil || !k.Usable() {
		t.Errorf("keys of an account without any: %+v, %v, %v", k, exists, err)
	}
}
