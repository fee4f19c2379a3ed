package admin

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// TestAbsent: data nodes that the server does not find are named on one line.
func TestAbsent(t *testing.T) {
	jids := []string{"dn1@d/store", "dn9@d/store", "dn8@elsewhere/store"}
	away := &xmppconn.StanzaError{Condition: "service-unavailable"}
	err := absent(jids, []error{nil, away, &xmppconn.StanzaError{Condition: "remote-server-not-found"}})
	if err == nil || !strings.Contains(err.Error(), "dn9@d, dn8@elsewhere;") || strings.Contains(err.Error(), "dn1") || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
	other := errors.New("no answer")
	if err := absent(jids, []error{other, nil, away}); !errors.Is(err, other) || !strings.Contains(err.Error(), "dn8@elsewhere") {
		t.Error(err)
	}
	if err := absent(jids, make([]error, 3)); err != nil {
		t.Error(err)
	}
}

// TestLeaderless: one line names the partitions and who is to be started.
func TestLeaderless(t *testing.T) {
	many := slices.Repeat([]uint32{7}, 135)
	for _, c := range []struct {
		missing []uint32
		silent  []string
		want    string
	}{
		{[]uint32{3, 8}, []string{"dn4", "dn5"}, "2 of 271 partitions (3 8) are without a leader; down or cut off: dn4, dn5; start them"},
		{many, []string{"dn4"}, "135 of 271 partitions (7 7 7 7 7 …) are without"},
		{[]uint32{3}, nil, "wait until `ringctl status`"},
	} {
		err := leaderless(c.missing, 271, c.silent)
		if !errors.Is(err, errLeaderless) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
