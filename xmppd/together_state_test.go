package xmppd_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/store/replicated"
)

// TestStateOutlivesServer: what was kept at a server is all there on the others when it is gone; removed, it leaves
// its share to them.
func TestStateOutlivesServer(t *testing.T) {
	datas := make(map[string]string)
	x := startTrio(t, trioOptions{cfg: func(c *xmppd.Config) { datas[c.Cluster.Name] = c.Data }})
	for _, s := range x.servers {
		eventually(t, "each has its share", func() bool {
			st := s.Replicas().Status()
			return len(st.Members) == 3 && st.Replicas == 3 && !st.Changing
		})
		eventually(t, "all is told to be well", func() bool {
			st, err := s.ClusterStatus()
			if err != nil {
				t.Fatal(err)
			}
			led := 0
			for _, m := range st.Servers {
				led += m.Records.Leads
				if m.Records.Copies != 8 || m.Records.Coming != 0 {
					t.Errorf("%s has %+v", m.Name, m.Records)
				}
			}
			r := st.Records
			return led == 8 && r.Lacking == 0 && r.Lost == 0 && r.Survives && !r.Moving
		})
	}
	third := x.servers[2]
	if err := third.Accounts().Add(t.Context(), "dave", password, ""); err != nil {
		t.Fatal(err)
	}
	a := x.at(t, 2, "alice", "a")
	if got := a.ask("set", "", "<query xmlns='jabber:iq:roster'><item jid='dave@"+domain+"' name='Dave'/></query>"); !strings.Contains(got, "type='result'") {
		t.Fatal(got)
	}
	a.Send("<message to='dave@" + domain + "' type='chat'><body>kept for dave</body></message>")
	a.Sync()
	x.quiet(t)
	x.close(t, third)
	d := login(t, x.servers[0], "dave", "d")
	d.Send("<presence/>")
	d.Want("kept for dave")
	again := login(t, x.servers[1], "alice", "b")
	if got := again.ask("get", "", "<query xmlns='jabber:iq:roster'/>"); !strings.Contains(got, "name='Dave'") {
		t.Errorf("the roster: %s", got)
	}
	st, err := xmppd.AskClusterStatus(t.Context(), datas["x2"])
	if err != nil {
		t.Fatal(err)
	}
	if r := st.Records; len(st.Servers) != 3 || st.Servers[2].State != "absent" || r.Lacking != 8 || r.Lost != 0 || r.Survives || strings.Join(r.Needed, " ") != "x1 x2" {
		t.Errorf("while one of three is gone: %+v", r)
	}
	if err := xmppd.RemoveFromCluster(t.Context(), datas["x1"], "x3"); err != nil {
		t.Error(err)
	}
	eventually(t, "it has left", func() bool {
		moved, err := xmppd.RemovedFromCluster(t.Context(), datas["x1"], "x3")
		return err == nil && moved
	})
	if err := x.servers[0].Replicas().Leave(t.Context(), "x3"); !errors.Is(err, replicated.ErrNoMember) {
		t.Errorf("removed again: %v", err)
	}
}
