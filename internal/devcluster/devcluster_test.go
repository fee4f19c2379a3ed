package devcluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestFailedStart: the error shows what the process said last, nothing keeps
// running, and a second start in the same directory begins anew.
func TestFailedStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	for range 2 {
		_, err := Start(t.Context(), Options{Dir: dir, StartTimeout: 2 * time.Minute})
		if err == nil || !strings.Contains(err.Error(), "this data node is out of order") {
			t.Fatalf("start with a data node that fails: %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "pids")); err == nil {
			t.Error("process ids are still recorded")
		}
		if _, err := os.Stat(filepath.Join(dir, "cluster.json")); err == nil {
			t.Error("a cluster that failed is described")
		}
	}
}

func TestInterruptedStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, Options{Dir: filepath.Join(t.TempDir(), "c")}); err == nil {
		t.Fatal("started although interrupted")
	}
}

func TestRefusals(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "letter"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		o          Options
	}{
		{"no directory", "--dir", Options{}},
		{"directory of something else", "not empty", Options{Dir: full}},
		{"port in use", "port " + strconv.Itoa(port), Options{Dir: filepath.Join(t.TempDir(), "c"), BasePort: port}},
		{"too many servers", "choose 1 to 9", Options{Dir: "c", Servers: 10}},
		{"too many nodes", "choose 1 to", Options{Dir: "c", Nodes: MaxNodes + 1}},
		{"replicas without nodes", "node of its own", Options{Dir: "c", Nodes: 2, Replicas: 3}},
		{"port too high", "base port", Options{Dir: "c", BasePort: 65535}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Start(t.Context(), c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want something about %q", err, c.want)
			}
		})
	}
	if err := Down(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no development cluster") {
		t.Errorf("down in a directory without a cluster: %v", err)
	}
}

// TestDownSparesOthers: a recorded number that belongs to another program by
// now is not signalled.
func TestDownSparesOthers(t *testing.T) {
	dir := t.TempDir()
	l := layout(dir)
	unlock, err := lockDir(l)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- other.Wait() }()
	if err := recordPID(l, other.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if err := Down(dir); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
		t.Error("down has ended a process that is none of the cluster's")
	default:
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
}

// TestRemoveStopped: neither a cluster that runs nor one that starts nor another
// directory is removed.
func TestRemoveStopped(t *testing.T) {
	dir := t.TempDir()
	if removed, err := RemoveStopped(dir); removed || err != nil {
		t.Errorf("a directory without a cluster: %v, %v", removed, err)
	}
	l := layout(dir)
	unlock, err := lockDir(l)
	if err != nil {
		t.Fatal(err)
	}
	if removed, err := RemoveStopped(dir); removed || err == nil {
		t.Errorf("a cluster that starts: %v, %v", removed, err)
	}
	unlock()
	node := exec.Command("tail", "-f", l.lock()) // names a file in the directory
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	tells(t, dir, node.Process.Pid)
	if err := recordPID(l, node.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if removed, err := RemoveStopped(dir); removed || err != nil {
		t.Errorf("a cluster that runs: %v, %v", removed, err)
	}
	if err := node.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = node.Wait() // killed
	if removed, err := RemoveStopped(dir); !removed || err != nil {
		t.Errorf("a stopped cluster: %v, %v", removed, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it is still there")
	}
}

func TestLockExcludes(t *testing.T) {
	l := layout(t.TempDir())
	unlock, err := lockDir(l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDir(l); err == nil {
		t.Error("locked twice")
	}
	unlock()
	again, err := lockDir(l)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// TestCertificates: the server's certificate verifies under ca.pem for the
// domain and for loopback, and secrets are closed to others.
func TestCertificates(t *testing.T) {
	l := layout(filepath.Join(t.TempDir(), "c"))
	if err := l.make(); err != nil {
		t.Fatal(err)
	}
	if err := makeCertificates(l, "ring.example"); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(l.cert(), l.key())
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(l.ca())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	for _, name := range []string{"ring.example", "localhost", "127.0.0.1"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "other.example"}); err == nil {
		t.Error("the certificate is good for any name")
	}
	for _, secret := range []string{l.key(), filepath.Dir(l.key()), filepath.Dir(l.secret("app"))} {
		st, err := os.Stat(secret)
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", filepath.Base(secret), st.Mode())
		}
	}
}

func TestChoosePorts(t *testing.T) {
	ports, err := ChoosePorts(3, 0)
	if err != nil || len(ports) != 3 || ports[0] == ports[1] || ports[1] == ports[2] {
		t.Fatalf("%v, %v", ports, err)
	}
	_, p, _ := net.SplitHostPort(ports[0])
	base, err := strconv.Atoi(p)
	if err != nil {
		t.Fatal(err)
	}
	fixed, err := ChoosePorts(1, base)
	if err != nil || fixed[0] != ports[0] {
		t.Errorf("from base %d: %v, %v", base, fixed, err)
	}
}

// TestNothingIsLeftWithoutPorts: a start that finds a port in use leaves no files.
func TestNothingIsLeftWithoutPorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nobody has connected
	_, p, _ := net.SplitHostPort(l.Addr().String())
	port, err := strconv.Atoi(p)
	if err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	for dir, want := range map[string]int{filepath.Join(parent, "made"): -1, t.TempDir(): 0} {
		_, err := Start(t.Context(), Options{Dir: dir, BasePort: min(port, 65000), Nodes: 1, Binary: os.Args[0]})
		left, gone := os.ReadDir(dir)
		if err == nil || !strings.Contains(err.Error(), "--base-port") {
			t.Errorf("%v", err)
		}
		if errors.Is(gone, fs.ErrNotExist) != (want < 0) || len(left) > 0 {
			t.Errorf("%s: %v are left, %v", dir, left, gone)
		}
	}
}

// TestPortsStay: a cluster that is started again has the ports it had, unless one of
// them is somebody else's by now.
func TestPortsStay(t *testing.T) {
	ports, err := ChoosePorts(4, 0)
	if err != nil {
		t.Fatal(err)
	}
	had := func() *Cluster {
		return &Cluster{
			opts: Options{Progress: func(string) {}},
			info: Info{Servers: []Server{{ID: "x1", C2S: ports[0], TLS: ports[1], HTTP: ports[2]}}, Nodes: []Node{{ID: "dn1", Metrics: ports[3]}}},
		}
	}
	all := func(c *Cluster) []string {
		s := c.info.Servers[0]
		return []string{s.C2S, s.TLS, s.HTTP, c.info.Nodes[0].Metrics}
	}
	c := had()
	if err := c.choosePorts(); err != nil || !slices.Equal(all(c), ports) {
		t.Errorf("%v, want %v: %v", all(c), ports, err)
	}
	if args := c.nodeArgs(&c.info.Nodes[0]); !slices.Contains(args, "--listen-metrics") || !slices.Contains(args, ports[3]) {
		t.Errorf("metrics are on, but not in %v", args)
	}
	taken, err := net.Listen("tcp", ports[3])
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c = had()
	if err := c.choosePorts(); err != nil || slices.Contains(all(c), ports[3]) || slices.Contains(all(c), "") {
		t.Errorf("%v, but %s is taken: %v", all(c), ports[3], err)
	}
}

// tells waits until the system tells of a process's arguments: that is a moment after it began.
func tells(t *testing.T, dir string, pid int) {
	t.Helper()
	if err := poll(t.Context(), time.Millisecond, func() (bool, error) { return Running(dir, pid), nil }); err != nil {
		t.Fatal(err)
	}
}

// TestUpOfHalfACluster: where a part of a cluster runs, what is said leads on.
func TestUpOfHalfACluster(t *testing.T) {
	dir := t.TempDir()
	runs := exec.Command("sh", "-c", "read line", filepath.Join(dir, "dn2"))
	hold, err := runs.StdinPipe() // it ends with it
	if err != nil {
		t.Fatal(err)
	}
	if err := runs.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = hold.Close()
		_ = runs.Wait()
	}()
	tells(t, dir, runs.Process.Pid)
	c := &Cluster{files: layout(dir)}
	old := Info{Servers: []Server{{ID: "x1"}}, Nodes: []Node{{ID: "dn1"}, {ID: "dn2", PID: runs.Process.Pid}}}
	err = c.resume(&old)
	if err == nil || !strings.Contains(err.Error(), "(x1, dn1) with `ringctl dev restart") {
		t.Errorf("two of three are down: %v", err)
	}
	old.Servers, old.Nodes = nil, old.Nodes[1:]
	if err = c.resume(&old); err == nil || !strings.Contains(err.Error(), "is running; stop it") {
		t.Errorf("all runs: %v", err)
	}
}
