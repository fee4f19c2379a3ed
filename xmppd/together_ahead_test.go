package xmppd_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// reads is what a server reads of the records.
type reads struct {
	store.Store

	mu   sync.Mutex
	n    map[string]int // by owner
	fail map[string]bool
	hold map[string]chan struct{} // one read of that owner ends when it is closed
	held chan struct{}            // it has begun
}

var errNoLeader = errors.New("the records have no leader")

func (r *reads) View(ctx context.Context, owner string, f func(store.Reader) error) error {
	r.mu.Lock()
	r.n[owner]++
	hold, fail := r.hold[owner], r.fail[owner]
	delete(r.hold, owner)
	r.mu.Unlock()
	if fail {
		return errNoLeader
	}
	err := r.Store.View(ctx, owner, f)
	if hold != nil {
		r.held <- struct{}{}
		<-hold
	}
	return err
}

func (r *reads) count(owner string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n[owner]
}

func (r *reads) setFail(owner string, is bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail[owner] = is
}

// ahead is servers of which the first one's reads are looked at, with app and dn1 on line there and app at the second one.
type ahead struct {
	*trio
	reads        *reads
	app, dn, far *client
}

func startAhead(t *testing.T, f xmppd.AheadFaults) *ahead {
	t.Helper()
	r := &reads{n: make(map[string]int), fail: make(map[string]bool), hold: make(map[string]chan struct{}), held: make(chan struct{}, 1)}
	a := &ahead{reads: r}
	a.trio = startTrio(t, trioOptions{n: 2, shared: true, own: xmppd.Together{Ahead: f}, perServer: func(name string, own *xmppd.Together) {
		if name == "x1" {
			r.Store = own.Records
			own.Records = r
		}
	}})
	a.app, a.dn, a.far = a.at(t, 0, "app", "1"), a.at(t, 0, "dn1", "1"), a.at(t, 1, "app", "2")
	for _, c := range []*client{a.app, a.dn, a.far} {
		c.Send("<presence><priority>-1</priority></presence>")
		c.Sync()
	}
	a.known(t)
	return a
}

// known waits until what is to be read is read.
func (a *ahead) known(t *testing.T) {
	t.Helper()
	a.quiet(t)
	eventually(t, "what is needed is read", a.servers[0].ReadAhead)
}

const prefsNever = "<prefs xmlns='" + nsArchive + "' default='never'/>"

// archive has app want its messages archived, or not, by its session at the second server.
func (a *ahead) archive(def string) {
	a.far.mam("set", "<prefs xmlns='"+nsArchive+"' default='"+def+"'/>")
}

// message sends dn1 a message of app at the first server, and returns how many reads it has cost there.
func (a *ahead) message(t *testing.T) int {
	t.Helper()
	before := a.reads.count("app") + a.reads.count("dn1")
	a.app.Send("<message to='" + a.dn.JID + "' id='m'><body>x</body></message>")
	a.dn.Want("</message>")
	return a.reads.count("app") + a.reads.count("dn1") - before
}

// TestReadAhead: a message between accounts of the cluster reads no records, the first one after a login neither, nor that after
// a change at another server. What is remembered is as the change left it.
func TestReadAhead(t *testing.T) {
	a := startAhead(t, xmppd.AheadFaults{})
	if n := a.message(t); n != 0 {
		t.Errorf("the first message after the logins: %d reads", n)
	}
	a.archive("never")
	a.known(t)
	if n := a.message(t); n != 0 {
		t.Errorf("after a change at another server: %d reads", n)
	}
	passes := a.servers[0].Refreshed()
	a.servers[0].Refresh()
	eventually(t, "the pass has ended", func() bool { return a.servers[0].Refreshed() > passes })
	a.known(t)
	if n := a.message(t); n != 0 {
		t.Errorf("after all was forgotten: %d reads", n)
	}
}

func TestReadAheadNoticesFaults(t *testing.T) {
	a := startAhead(t, xmppd.AheadFaults{AtLogin: true})
	a.archive("never")
	a.known(t)
	if n := a.message(t); n == 0 {
		t.Error("that nothing is read again is not noticed")
	}
}

// TestReadAheadIsNotOld: what is being read while it is changed is not remembered.
func TestReadAheadIsNotOld(t *testing.T) {
	a := startAhead(t, xmppd.AheadFaults{})
	goOn := make(chan struct{})
	a.reads.mu.Lock()
	a.reads.hold["app"] = goOn
	a.reads.mu.Unlock()
	a.archive("never") // has it read at the first server
	<-a.reads.held
	a.archive("always")
	a.quiet(t)
	close(goOn)
	a.known(t)
	if n, before := a.message(t), a.servers[0].Count(t, "xmppd_archive_messages_total"); n != 0 || before != 1 {
		t.Errorf("%d reads, %v messages archived, want 1", n, before)
	}
}

// TestReadAheadAgain: what could not be read is tried again. Of users who are no accounts of the cluster nothing is read ahead.
func TestReadAheadAgain(t *testing.T) {
	for _, f := range []xmppd.AheadFaults{{}, {GiveUp: true}, {Users: true}} {
		a := startAhead(t, f)
		a.reads.setFail("app", true)
		tried := a.reads.count("app")
		a.archive("never")
		eventually(t, "it is tried", func() bool { return a.reads.count("app") > tried })
		a.reads.setFail("app", false)
		a.known(t)
		if n := a.message(t); (n > 0) != f.GiveUp {
			t.Errorf("%+v: %d reads", f, n)
		}
		a.at(t, 0, "alice", "1")
		alice := a.at(t, 1, "alice", "2")
		a.known(t)
		before := a.reads.count("alice")
		alice.mam("set", prefsNever)
		a.known(t)
		if is := a.reads.count("alice") > before; is != f.Users {
			t.Errorf("%+v: read ahead for a user: %v", f, is)
		}
	}
}
