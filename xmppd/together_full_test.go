package xmppd_test

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/store/replicated"
)

// full starts three servers, of which x2 has no room on its disk, and waits until all copies are there.
func full(t *testing.T, own xmppd.Together) *trio {
	t.Helper()
	x := startTrio(t, trioOptions{
		cfg: func(c *xmppd.Config) { c.ListenHTTP = "127.0.0.1:0" },
		own: own,
		perServer: func(name string, own *xmppd.Together) {
			small := own.Replicas
			own.Replicas = func(o *replicated.Options) {
				if small != nil {
					small(o)
				}
				if name == "x2" {
					o.DiskReserve = math.MaxInt64 // no disk has as much
				}
			}
		},
	})
	eventually(t, "each has its copies, and x2 knows of its disk", func() bool {
		told, err := x.servers[0].ClusterStatus()
		if err != nil {
			t.Fatal(err)
		}
		r := told.Records
		return len(told.Servers) == 3 && r.Copies == 3 && r.Lacking == 0 && r.Lost == 0 && !r.Moving && x.servers[1].DiskFull()
	})
	return x
}

// TestFullServer: a server whose disk is full is told as one that can't be counted on, though its copies are there,
// and changes go on at the others.
func TestFullServer(t *testing.T) {
	x := full(t, xmppd.Together{})
	eventually(t, "x1 tells of it", func() bool {
		st, err := x.servers[0].ClusterStatus()
		return err == nil && st.Servers[1].DiskFull && !st.Servers[0].DiskFull &&
			!st.Records.Survives && strings.Join(st.Records.Needed, " ") == "x1 x3" && st.Records.Lacking == 0 && st.Records.Lost == 0
	})
	for i, s := range x.servers {
		if err := s.Accounts().Add(t.Context(), fmt.Sprint("new", i), password, ""); err != nil {
			t.Errorf("at the server %d: %v", i, err)
		}
	}
	_, _, addr := x.servers[1].Addrs()
	resp, err := http.Get("http://" + addr + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if got, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(got), "disk is full") || !strings.Contains(string(got), `"ok":true`) {
		t.Errorf("healthz: %s %v", got, err)
	}
}

// TestFullServerNoticesFaults: the test above would notice one of which nobody is told.
func TestFullServerNoticesFaults(t *testing.T) {
	x := full(t, xmppd.Together{FullAlone: true})
	eventually(t, "x1 takes x2 for one that can be counted on", func() bool {
		st, err := x.servers[0].ClusterStatus()
		return err == nil && !st.Servers[1].DiskFull && st.Records.Survives
	})
}

// fullAndAbsent takes x3 away from a server whose disk is full and one that has room, which are no majority for any change, and
// waits until each says so. It returns how many partitions their metrics call lost.
func fullAndAbsent(t *testing.T, own xmppd.Together) (lost []int) {
	t.Helper()
	x := full(t, own)
	x.close(t, x.servers[2])
	for i, s := range x.servers[:2] {
		eventually(t, fmt.Sprintf("x%d tells of it", i+1), func() bool {
			st, err := s.ClusterStatus()
			return err == nil && st.Servers[1].DiskFull && st.Servers[2].State == "absent" && st.Records.Lost == st.Records.Partitions &&
				st.Records.Lacking == st.Records.Partitions && !st.Records.Survives
		})
		lost = append(lost, int(s.Count(t, "xmppd_cluster_records_lost")))
		if lacking := int(s.Count(t, "xmppd_cluster_records_lacking")); lacking != 8 {
			t.Errorf("copies lack of %d partitions at x%d", lacking, i+1)
		}
	}
	return lost
}

// TestFullAndAbsent: metrics tell the same as the status when one server is full and another one is not there.
func TestFullAndAbsent(t *testing.T) {
	if lost := fullAndAbsent(t, xmppd.Together{}); lost[0] != 8 || lost[1] != 8 {
		t.Errorf("of 8 partitions %v are lost by the metrics", lost)
	}
}

// TestFullAndAbsentNoticesFaults: the test above would notice metrics of their own.
func TestFullAndAbsentNoticesFaults(t *testing.T) {
	if lost := fullAndAbsent(t, xmppd.Together{Reached: true}); lost[0] != 0 {
		t.Errorf("the planted bug does not show: %v", lost)
	}
}
