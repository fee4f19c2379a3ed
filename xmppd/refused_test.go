package xmppd

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	links "github.com/rosterdb/rosterdb/xmppd/cluster/link"
)

// TestRefusedBy: of servers that refuse this one is warned; where they are more than those that are with it clients should go elsewhere.
func TestRefusedBy(t *testing.T) {
	refuses := func(name string) links.Status {
		return links.Status{Name: name, Listed: true, Refused: true, Reason: "founded apart"}
	}
	with := func(name string) links.Status { return links.Status{Name: name, Listed: true, Connected: true} }
	gone := links.Status{Name: "x9", Refused: true, Reason: "founded apart"}
	for what, c := range map[string]struct {
		peers   []links.Status
		warning string
		err     string
	}{
		"alone":         {nil, "", ""},
		"all are well":  {[]links.Status{with("x2"), with("x3")}, "", ""},
		"not there":     {[]links.Status{gone, {Name: "x2", Listed: true, Reason: "connection refused"}}, "", ""},
		"one each":      {[]links.Status{refuses("x2")}, "refused by x2: founded apart", ""},
		"outnumbered":   {[]links.Status{refuses("x3"), refuses("x2")}, "", "refused by x2, x3: founded apart"},
		"the larger":    {[]links.Status{refuses("x4"), with("x2"), with("x3")}, "refused by x4", ""},
		"who is gone":   {[]links.Status{gone, refuses("x2")}, "refused by x2:", ""},
		"the same many": {[]links.Status{refuses("x2"), refuses("x4"), with("x3")}, "refused by x2, x4", ""},
	} {
		warning, err := refusedBy(c.peers)
		if (warning == "") != (c.warning == "") || !strings.Contains(warning, c.warning) {
			t.Errorf("%s: warning %q, want %q", what, warning, c.warning)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: error %v, want %q", what, err, c.err)
		}
	}
}

// TestOtherUser: who may not open the socket of a server that runs is told so, not that none runs.
func TestOtherUser(t *testing.T) {
	err := newRemoteUsers("admin.sock").failed(&net.OpError{Op: "dial", Err: syscall.EACCES})
	if errors.Is(err, errNotRunning) || !strings.Contains(err.Error(), "as the owner of the data directory") {
		t.Error(err)
	}
}
