package xmppd_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd"
)

// drainedEarly drains a server in which messages wait for the disk, whose sender does not use stream management. It reports
// whether that server says that it may be stopped.
func drainedEarly(t *testing.T, hasty bool) bool {
	x, disk := startSlow(t, xmppd.Together{Hasty: hasty})
	carol := login(t, x.servers[0], "carol", "c")
	goOn := disk.stop()
	defer goOn()
	carol.Send(forBob(0) + forBob(1) + forBob(2))
	eventually(t, "they wait", func() bool { n, _ := x.servers[0].Exchange().Waiting(); return n > 0 })
	if _, err := x.servers[1].AskToDrain("x1", true); err != nil {
		t.Fatal(err)
	}
	if got := carol.Rest(); !strings.Contains(got, "<system-shutdown ") {
		t.Errorf("a client of a server that is drained got %q", got)
	}
	early := ""
	eventually(t, "the server has no sessions any more", func() bool {
		st, err := x.servers[1].ClusterStatus()
		if err != nil {
			return false
		}
		for _, m := range st.Servers {
			if m.Name == "x1" && m.Sessions == 0 && m.State != "up" {
				early = m.State
			}
		}
		return early != ""
	})
	goOn()
	eventually(t, "the server is drained", func() bool { return x.in("drained") == 1 })
	return early == "drained"
}

// TestDrainedIsEmpty: a server is drained when nothing waits in it any more, sessions or messages.
func TestDrainedIsEmpty(t *testing.T) {
	if drainedEarly(t, false) {
		t.Error("it may be stopped while messages wait in it")
	}
}

// TestNoticesDrainedEarly: the planted bug shows.
func TestNoticesDrainedEarly(t *testing.T) {
	if !drainedEarly(t, true) {
		t.Error("nobody notices that messages wait in a server that may be stopped")
	}
}

// lostAtStop stops a server in which more messages wait than it has time for at once, and counts those that its receiver
// does not get.
func lostAtStop(t *testing.T, hasty bool) (lost int) {
	const total = 400 // more than goes while streams end
	x, disk := startSlow(t, xmppd.Together{Hasty: hasty})
	carol := login(t, x.servers[0], "carol", "c")
	disk.takes(25*time.Millisecond, func() bool { return !x.servers[1].Node().Mesh().Reaches("x1") })
	all := ""
	for i := range total {
		all += forBob(i)
	}
	carol.Send(all + "<message to='alice@" + domain + "/a'/>")
	eventually(t, "all have come", func() bool { n, _ := x.servers[0].Exchange().Waiting(); return n > total*9/10 })
	x.close(t, x.servers[0])
	bob := login(t, x.servers[2], "bob", "b")
	bob.Send("<presence/>" + forBob(total))
	return total - strings.Count(bob.Want("<body>400</body>"), "<body>") + 1
}

// TestStopFinishes: a server that is stopped goes on with what waits in it as long as it gets on.
func TestStopFinishes(t *testing.T) {
	if n := lostAtStop(t, false); n != 0 {
		t.Errorf("%d messages are lost", n)
	}
}

// TestNoticesHastyStop: the planted bug shows.
func TestNoticesHastyStop(t *testing.T) {
	if lostAtStop(t, true) == 0 {
		t.Error("nobody notices that a server stops before it has stored what it has taken")
	}
}
