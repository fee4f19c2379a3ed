package harness

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/ring"
	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/cluster"
	"github.com/rosterdb/rosterdb/xmppd/cluster/clustertest"
)

// Servers are processes of xmppd that serve one domain together.
type Servers struct {
	t      testing.TB
	binary string
	o      ServersOptions
	ca     *clustertest.Authority
	key    string // file
	All    []*Member

	places []place // of those to come
}

// place is where a member's ports are.
type place struct {
	cluster string // address of its cluster port
	clients string // host of the others
	ns      *Namespace
}

// Member is one of Servers. Its process may be another one after Restart.
type Member struct {
	*XMPPD
	Name    string
	Cluster string // address of its cluster port
	sv      *Servers
	config  string
}

// ServersOptions say what Servers are like.
type ServersOptions struct {
	N       int
	Config  string // TOML, for all, behind what every server needs
	Cluster string // the same, of the table cluster; HOST stands for where the server's clients connect to
	// Zones are those of the servers, in their order; nil: none.
	Zones []string
	// Users have accounts on all servers; those of Group share one group and are in each other's roster.
	Users, Group []string
	// Named: the first server is at a port of localhost, and the others get that name to join; without, each gets all others
	// that there are from the beginning.
	Named bool
	// Founders: all are told to found a cluster, not the first one only.
	Founders bool
	// Switch: each server is in a namespace of its own at it; nil: all are on loopback.
	Switch *Switch
}

// StartServers starts the servers together, and waits until all are connected and all copies of their records
// are there. They end with the test.
func StartServers(t testing.TB, binary string, o ServersOptions) *Servers {
	t.Helper()
	sv := &Servers{t: t, binary: binary, o: o, ca: clustertest.New(t), key: filepath.Join(t.TempDir(), "gossip.key")}
	if err := os.WriteFile(sv.key, []byte("30313233343536373839616263646566\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range o.N {
		sv.place()
	}
	for range o.N {
		sv.add()
	}
	for _, m := range sv.All {
		m.Addr(t, "clients")
	}
	sv.Whole()
	sv.Replicated()
	return sv
}

// end ends all that run at once. Stopped in turn each would look for others that take its clients and their records, until there is
// none; rows and tests that are about that stop servers themselves.
func (sv *Servers) end() {
	for _, m := range sv.Running() {
		_ = m.Cmd.Process.Kill()
	}
	for _, m := range sv.Running() {
		m.Kill(sv.t)
	}
}

// Add starts one more server, and waits until it takes clients.
func (sv *Servers) Add() *Member {
	sv.t.Helper()
	sv.place()
	m := sv.add()
	m.Addr(sv.t, "clients")
	return m
}

func (sv *Servers) add() *Member {
	sv.t.Helper()
	at := sv.places[len(sv.All)]
	m := &Member{Name: fmt.Sprintf("x%d", len(sv.All)+1), Cluster: at.cluster, sv: sv}
	clients, ns := at.clients, at.ns
	join := []string{}
	for i, other := range sv.places {
		if i != len(sv.All) && !sv.o.Named {
			join = append(join, other.cluster)
		}
	}
	if sv.o.Named && len(sv.All) > 0 {
		join = []string{strings.Replace(sv.All[0].Cluster, "127.0.0.1", "localhost", 1)}
	}
	ca, cert, key := sv.ca.Files(sv.t, m.Name)
	m.config = fmt.Sprintf("log_level = \"info\"\nlisten_c2s = \"%s:0\"\nlisten_tls = \"\"\nlisten_http = \"%s:0\"\ninsecure_plaintext = true\n%s\n", clients, clients, sv.o.Config) +
		fmt.Sprintf("[cluster]\nlisten = %q\nname = %q\njoin = [%s]\nkey_file = %q\nca = %q\ncert = %q\nkey = %q\n%s%s", m.Cluster, m.Name, quoted(join), sv.key, ca, cert, key, sv.storage(), strings.ReplaceAll(sv.o.Cluster, "HOST", clients))
	if len(sv.All) < len(sv.o.Zones) {
		m.config += fmt.Sprintf("\nzone = %q\n", sv.o.Zones[len(sv.All)])
	}
	data := sv.t.TempDir()
	if len(sv.All) == 0 { // the others have what it has
		addUsers(sv.t, data, "", sv.o.Users)
		addUsers(sv.t, data, "Everybody", sv.o.Group)
	}
	m.XMPPD = launch(sv.t, sv.binary, data, m.config, ns)
	sv.t.Cleanup(sv.end) // before the cleanup of the process, which stops it
	sv.All = append(sv.All, m)
	return m
}

// storage is where the next server keeps what it keeps.
func (sv *Servers) storage() string {
	if len(sv.All) == 0 || sv.o.Founders {
		return "found = true\n"
	}
	return ""
}

// place chooses where the next server is: an address on loopback that no other test process uses, so that its ports are
// free, or a namespace. One cluster at a time has it: tests of a process that start some take turns.
func (sv *Servers) place() {
	sv.t.Helper()
	var at place
	pid, host := os.Getpid(), ""
	if sv.o.Switch != nil {
		at.ns = sv.o.Switch.Plug()
		host, at.clients = at.ns.Addr, "127.0.0.1"
	} else {
		host = fmt.Sprintf("127.%d.%d.%d", 1+pid/250%250, pid%250, len(sv.places)+1)
		at.clients = host
	}
	at.cluster = net.JoinHostPort(host, "5280")
	if sv.o.Named && len(sv.places) == 0 {
		at.cluster = sv.named()
	}
	sv.places = append(sv.places, at)
}

// named is a free port of localhost.
func (sv *Servers) named() string {
	sv.t.Helper()
	free, err := devcluster.ChoosePorts(1, 0)
	if err != nil {
		sv.t.Fatal(err)
	}
	return free[0]
}

func quoted(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strconv.Quote(s)
	}
	return strings.Join(out, ", ")
}

// Restart starts the server again, with the data of before, once its process has ended.
func (m *Member) Restart(t testing.TB) {
	t.Helper()
	if m.Cmd.ProcessState == nil {
		t.Fatalf("%s is running", m.Name)
	}
	m.XMPPD = launch(t, m.sv.binary, m.Data, m.config, m.ns)
	t.Cleanup(m.sv.end)
	m.Addr(t, "clients")
}

// Refused starts the server again, with the data of before, and waits until it has ended by itself, with an error. It returns
// the log.
func (m *Member) Refused(t testing.TB) string {
	t.Helper()
	s := launch(t, m.sv.binary, m.Data, m.config, m.ns)
	select {
	case <-s.done:
	case <-time.After(startTimeout):
		t.Fatalf("%s runs:\n%s", m.Name, s.Log())
	}
	if err := s.Cmd.Wait(); err == nil {
		t.Errorf("%s has ended as if it had been asked to", m.Name)
	}
	return s.Log()
}

// Freeze stops the process (SIGSTOP), and Thaw lets it go on.
func (m *Member) Freeze(t testing.TB) { m.signal(t, syscall.SIGSTOP) }

// Thaw is the end of Freeze.
func (m *Member) Thaw(t testing.TB) { m.signal(t, syscall.SIGCONT) }

func (m *Member) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := m.Cmd.Process.Signal(s); err != nil {
		t.Fatalf("%s to %s: %v", s, m.Name, err)
	}
}

// Running lists the members whose process runs.
func (sv *Servers) Running() (out []*Member) {
	for _, m := range sv.All {
		if m.Cmd.ProcessState == nil {
			out = append(out, m)
		}
	}
	return out
}

// Whole waits until those that run are connected with one another, and with nobody else.
func (sv *Servers) Whole() {
	sv.t.Helper()
	running := sv.Running()
	for _, m := range running {
		m.Sees(sv.t, len(running)-1)
	}
}

// Replicated waits until each record has all the copies that it can have on the servers that there are, and no server is about
// to join, so that one of three may be lost, or drained.
func (sv *Servers) Replicated() {
	sv.t.Helper()
	running := sv.Running()
	for _, m := range running {
		Eventually(sv.t, startTimeout, m.Name+" says that all copies are there", func() bool {
			st := m.Status(sv.t)
			joining := slices.ContainsFunc(st.Servers, func(s xmppd.ClusterServer) bool { return s.State == string(cluster.Joining) })
			return !joining && !st.Records.Moving && st.Records.Lacking == 0 && st.Records.Copies == min(ring.DefaultReplicas, len(running))
		})
	}
}

// Status is what `xmppd cluster status` shows.
func (m *Member) Status(t testing.TB) *xmppd.ClusterStatus {
	t.Helper()
	st, err := xmppd.AskClusterStatus(t.Context(), m.Data)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// Sees waits until the server is connected to so many others.
func (m *Member) Sees(t testing.TB, others int) {
	t.Helper()
	Eventually(t, startTimeout, fmt.Sprintf("%s is connected to %d others", m.Name, others), func() bool {
		return m.Metric(t, "xmppd_cluster_link_up") == float64(others)
	})
}

// Sum is a metric of all servers that run.
func (sv *Servers) Sum(name string) (sum float64) {
	sv.t.Helper()
	for _, m := range sv.Running() {
		sum += m.Metric(sv.t, name)
	}
	return sum
}

// Cut takes the server's machine off the network, or puts it back. Its clients stay connected.
func (m *Member) Cut(cut bool) { m.ns.Cut(cut) }

// Part takes the ways between two servers away, or brings them back; both still reach all others.
func (m *Member) Part(from *Member, parted bool) {
	m.ns.Isolate(parted)
	from.ns.Isolate(parted)
}

// Lose has what the server sends to another one vanish, or ends that; what the other one sends arrives.
func (m *Member) Lose(to *Member, lose bool) { m.ns.Lose(to.ns, lose) }

// Metric is the sum of a metric of the server, over its labels unless name has some; 0 if there is none.
func (s *XMPPD) Metric(t testing.TB, name string) float64 {
	t.Helper()
	return s.metrics(t).sum(name)
}

// metrics are what a server tells of itself, by series.
type metrics map[string]float64

func (m metrics) sum(name string) (sum float64) {
	for series, n := range m {
		if base, _, _ := strings.Cut(series, "{"); base == name || series == name {
			sum += n
		}
	}
	return sum
}

func (s *XMPPD) metrics(t testing.TB) metrics {
	t.Helper()
	client := http.Client{Timeout: startTimeout, Transport: &http.Transport{
		DialContext:       func(_ context.Context, _, addr string) (net.Conn, error) { return s.ns.Dial(addr) },
		DisableKeepAlives: true,
	}}
	res, err := client.Get("http://" + s.Addr(t, "http") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	all := make(metrics)
	for line := range strings.Lines(string(text)) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("metric %s: %v", line, err)
		}
		all[series] = n
	}
	return all
}

// frames is the metric of what goes between servers on a channel, sent or handled.
func frames(channel, way string) string {
	return fmt.Sprintf("xmppd_cluster_frames_total{channel=%q,direction=%q}", channel, way)
}

// Frames is how many frames of a channel the servers that run have sent to each other.
func (sv *Servers) Frames(channel string) float64 {
	sv.t.Helper()
	return sv.Sum(frames(channel, "sent"))
}

// Quiet waits until nothing of clients is under way between the servers that run: what each has sent the others have
// handled. What they tell each other of their records goes on.
func (sv *Servers) Quiet() {
	sv.t.Helper()
	before := ""
	Eventually(sv.t, 3*startTimeout, "nothing is under way between the servers", func() bool {
		now, idle := "", true
		for _, m := range sv.Running() {
			all := m.metrics(sv.t)
			idle = idle && all.sum("xmppd_cluster_waiting")+all.sum("xmppd_cluster_link_queue_bytes") == 0
			for _, ch := range []string{"stanzas", "presence", "directory", "handover"} {
				for _, way := range []string{"sent", "handled"} {
					now += fmt.Sprint(all.sum(frames(ch, way)), " ")
				}
			}
		}
		same := idle && now == before
		before = now
		return same
	})
}

// settle is how long the directory asks all servers after one has come or gone (package directory).
const settle = 3 * time.Second

// Settled waits until the directory asks its owners only.
func (sv *Servers) Settled() { time.Sleep(settle + settle/4) } // the very interval that has to pass
