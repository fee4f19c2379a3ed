package xmppd_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/store/replicated"
)

// healthz is what a server says of itself.
func healthz(t *testing.T, s *xmppd.Server) (status int, body string) {
	t.Helper()
	_, _, addr := s.Addrs()
	resp, err := http.Get("http://" + addr + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// leftAlone takes two of three servers away and returns the third, and its data directory, when it knows.
func leftAlone(t *testing.T, own xmppd.Together) (x1 *xmppd.Server, data string) {
	t.Helper()
	x := startTrio(t, trioOptions{own: own, cfg: func(c *xmppd.Config) {
		c.ListenHTTP = "127.0.0.1:0"
		if c.Cluster.Name == "x1" {
			data = c.Data
		}
	}})
	x1 = x.servers[0]
	eventually(t, "any server may be lost", func() bool { return x.records(t).Survives })
	x.close(t, x.servers[2])
	eventually(t, "x1 knows that x3 is gone", func() bool { return len(x1.Node().Mesh().Connected()) == 1 })
	if status, body := healthz(t, x1); status != http.StatusOK {
		t.Errorf("with two of three servers: %d %s", status, body)
	}
	x.close(t, x.servers[1])
	eventually(t, "x1 knows that it is alone", func() bool { return len(x1.Node().Mesh().Connected()) == 0 })
	return x1, data
}

// TestAlone: a server that has lost the majority of the records with its links is not well from then on, and tells operators at once who
// does not answer.
func TestAlone(t *testing.T) {
	x1, data := leftAlone(t, xmppd.Together{})
	if status, body := healthz(t, x1); status != http.StatusServiceUnavailable || !strings.Contains(body, "x2, x3 can't be reached") {
		t.Errorf("healthz: %d %s", status, body)
	}
	users, err := xmppd.OpenUsers(t.Context(), data, domain)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = users.Close() }()
	_, listed := users.List(t.Context())
	_, seen := users.Roster(t.Context(), "alice")
	for what, err := range map[string]error{
		"add": users.Add(t.Context(), "dora", password, ""), "passwd": users.SetPassword(t.Context(), "alice", "new"), "delete": users.Delete(t.Context(), "alice"),
		"list": listed, "roster": seen, "contact": users.SetRosterItem(t.Context(), "alice", xmppd.RosterItem{JID: "bob@" + domain, Subscription: "both"}),
	} {
		if err == nil || !strings.Contains(err.Error(), "no majority of servers: x2, x3 do not answer; nothing was changed") {
			t.Errorf("%s: %v", what, err)
		}
	}
	eventually(t, "the store has noticed, too", func() bool { return x1.Replicas().Health() != nil })
	st, err := x1.ClusterStatus()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("of %d of %d partitions of the data there is no majority: x2, x3", st.Records.Lost, st.Records.Partitions)
	if _, body := healthz(t, x1); !strings.Contains(body, want) {
		t.Errorf("healthz: %s, not as status: %s", body, want)
	}
}

// TestAloneNoticesFaults: the test above would notice a health of those who have asked in vain.
func TestAloneNoticesFaults(t *testing.T) {
	x1, _ := leftAlone(t, xmppd.Together{Unlinked: true})
	if status, _ := healthz(t, x1); status != http.StatusOK {
		t.Error("the planted bug does not show")
	}
}

// TestCutOffMeanwhile: what an operator has asked for is called off soon after links have told that there is no majority for it.
func TestCutOffMeanwhile(t *testing.T) {
	var cut atomic.Bool
	data := ""
	x := startTrio(t, trioOptions{
		own: xmppd.Together{Cut: func(string) bool { return cut.Load() }},
		cfg: func(c *xmppd.Config) {
			if c.Cluster.Name == "x1" {
				data = c.Data
			}
		},
		perServer: func(_ string, own *xmppd.Together) {
			own.Links.Silence = 4 * time.Second
			own.Replicas = func(o *replicated.Options) {
				quick(o)
				o.Patience = time.Hour // it is not what ends the question
			}
		},
	})
	eventually(t, "any server may be lost", func() bool { return x.records(t).Survives })
	users, err := xmppd.OpenUsers(t.Context(), data, domain)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = users.Close() }()
	cut.Store(true)
	if _, err := users.Roster(t.Context(), "alice"); err == nil || !strings.Contains(err.Error(), "no majority of servers: x2, x3 do not answer") {
		t.Errorf("%v", err)
	}
	cut.Store(false)
}
