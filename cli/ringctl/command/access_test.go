package command

import (
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/ring"
)

// TestFirstAndLastGrantAreAsked: who locks everybody out, or lets everybody in,
// has to say so.
func TestFirstAndLastGrantAreAsked(t *testing.T) {
	open := goldenRing(t)
	g := ring.Grant{Account: "shop@example.org", Prefix: "cart/"}
	if _, err := grantEdit(g, false)(open); err == nil || !strings.Contains(err.Error(), "every other account") || !strings.Contains(err.Error(), "--yes") {
		t.Fatalf("the first grant: %v", err)
	}
	one, err := grantEdit(g, true)(open)
	if err != nil || len(one.Access) != 1 {
		t.Fatalf("with --yes: %v", err)
	}
	if next, err := grantEdit(g, false)(one); next != nil || err != nil {
		t.Errorf("the same again: %v, %v", next, err)
	}
	two, err := grantEdit(ring.Grant{Account: "@example.org"}, false)(one)
	if err != nil || len(two.Access) != 2 {
		t.Fatalf("the second grant: %v", err)
	}
	if next, err := revokeEdit("@example.org", "", false)(two); err != nil || len(next.Access) != 1 {
		t.Errorf("one of two taken back: %v", err)
	}
	if _, err := revokeEdit(g.Account, g.Prefix, false)(one); err == nil || !strings.Contains(err.Error(), "read and write everything") || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("the last grant: %v", err)
	}
	if next, err := revokeEdit(g.Account, g.Prefix, true)(one); err != nil || len(next.Access) != 0 {
		t.Errorf("the last grant with --yes: %v", err)
	}
}
