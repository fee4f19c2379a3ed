package xmppd_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// slowDisk is a store that lets bob's updates wait.
type slowDisk struct {
	store.Store
	mu   sync.Mutex
	gate chan struct{} // closed: they go through; nil: they don't wait
	each time.Duration // that one takes
	gone func() bool   // nobody is there any more who would keep them, as with replicas; nil: always
}

func (d *slowDisk) Update(ctx context.Context, owner string, f func(store.Tx) error) error {
	d.mu.Lock()
	gate, each, gone := d.gate, d.each, d.gone
	d.mu.Unlock()
	if owner == "bob" {
		if gate != nil {
			<-gate
		}
		time.Sleep(each) // the fault
		if gone != nil && gone() {
			return store.ErrClosed
		}
	}
	return d.Store.Update(ctx, owner, f) //nolint:wrapcheck // a store's own
}

// stop has updates wait until the function that it returns is called.
func (d *slowDisk) stop() (goOn func()) {
	gate := make(chan struct{})
	d.mu.Lock()
	d.gate = gate
	d.mu.Unlock()
	return sync.OnceFunc(func() { close(gate) })
}

// takes sets how long an update takes, and when there are none any more.
func (d *slowDisk) takes(each time.Duration, gone func() bool) {
	d.mu.Lock()
	d.each, d.gone = each, gone
	d.mu.Unlock()
}

// startSlow is a trio whose first server's disk may be slow.
func startSlow(t *testing.T, own xmppd.Together) (*trio, *slowDisk) {
	t.Helper()
	disk := new(slowDisk)
	return startTrio(t, trioOptions{shared: true, own: own, perServer: func(name string, own *xmppd.Together) {
		if name == "x1" {
			disk.Store, own.Records = own.Records, disk
		}
	}}), disk
}

func forBob(i int) string { return xmppraw.Message("bob@"+domain, fmt.Sprint(i)) }

// ackedEarly has a client send messages to somebody who is away, while the disk does not write, and ask for acknowledgements: it
// reports whether it got one for what is not stored.
func ackedEarly(t *testing.T, f session.AckFaults) bool {
	x, disk := startSlow(t, xmppd.Together{Acks: f})
	alice := enable(login(t, x.servers[0], "alice", "a"), "")
	goOn := disk.stop()
	defer goOn()
	alice.Send(forBob(0) + forBob(1) + forBob(2) + "<r xmlns='" + nsSM + "'/>")
	got := alice.Want("<a xmlns='"+nsSM+"' h='") + alice.Want("'/>")
	goOn()
	if strings.Contains(got, "h='3'") {
		return true
	}
	if !strings.Contains(got, "h='0'") {
		t.Errorf("nothing is stored: %s", got)
	}
	alice.Want("<a xmlns='" + nsSM + "' h='3'/>") // without being asked again
	x.quiet(t)
	bob := login(t, x.servers[2], "bob", "b")
	bob.Send("<presence/>")
	if got := bodies(bob.Want("<body>2</body>")); strings.Join(got, "") != "012" {
		t.Errorf("acknowledged, and kept: %q", got)
	}
	return false
}

// TestAcksTogether: a server of a cluster acknowledges a message to somebody who is away when it is stored, not while it finds out
// where its receiver is.
func TestAcksTogether(t *testing.T) {
	if ackedEarly(t, session.AckFaults{}) {
		t.Error("what is not stored is acknowledged")
	}
}

// TestNoticesAcksTogether: the planted bug shows.
func TestNoticesAcksTogether(t *testing.T) {
	if !ackedEarly(t, session.AckFaults{AckEarly: true}) {
		t.Error("nobody notices that what waits is acknowledged")
	}
}

// orderOfMover has a client send messages to somebody who is away, go on at a server, and send more. It returns the texts that
// the receiver gets. While the disk does not write the client can't go on, unless a bug is planted.
func orderOfMover(t *testing.T, f session.AckFaults, server int) []string {
	x, disk := startSlow(t, xmppd.Together{Acks: f})
	alice := enable(login(t, x.servers[0], "alice", "a"), "")
	goOn := disk.stop()
	defer goOn()
	alice.Send(forBob(0) + forBob(1) + forBob(2) + "<r xmlns='" + nsSM + "'/>")
	alice.Want("<a xmlns='" + nsSM + "' h='0'/>") // all have been read
	back := authenticated(t, x.servers[server], "alice")
	back.Send(fmt.Sprintf("<resume xmlns='%s' h='0' previd='%s'/>", nsSM, alice.id))
	if !f.LeaveOpen {
		goOn()
	}
	if got := back.Want("<resumed ") + back.Want("/>"); !strings.Contains(got, "h='3'") {
		t.Errorf("three were routed: %s", got)
	}
	back.Send(forBob(3))
	back.Sync()
	if server != 0 {
		eventually(t, "that server has stored it", x.servers[server].Exchange().Idle)
	}
	goOn()
	x.quiet(t)
	bob := login(t, x.servers[2], "bob", "b")
	bob.Send("<presence/>")
	got := ""
	for range 4 {
		got += bob.Want("</body>")
	}
	return bodies(got)
}

// TestMoverKeepsOrder: what a client sends behind its resumption comes behind what it has sent before, at the same server and
// at another one.
func TestMoverKeepsOrder(t *testing.T) {
	for server := range 2 {
		if got := orderOfMover(t, session.AckFaults{}, server); strings.Join(got, "") != "0123" {
			t.Errorf("resumed at server %d: %q", server+1, got)
		}
	}
}

// TestNoticesMoverOvertakes: the planted bug shows.
func TestNoticesMoverOvertakes(t *testing.T) {
	if got := orderOfMover(t, session.AckFaults{LeaveOpen: true}, 1); strings.Join(got, "") == "0123" {
		t.Error("nobody notices that a client goes on before what it has sent is stored")
	}
}
