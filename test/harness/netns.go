package harness

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Switch joins network namespaces, as a switch joins machines. It is a bridge in a namespace of its own.
type Switch struct {
	t     testing.TB
	name  string
	ports int
}

// Namespace is a machine at a Switch, as far as its network goes. A nil one is that of the test.
type Namespace struct {
	sw   *Switch
	name string
	port string // of the switch
	Addr string // at the switch
}

// NewSwitch makes a switch that is gone when the test is. Without root and the tools it skips the test, which fails with
// CHAOS_REQUIRED=1.
func NewSwitch(t testing.TB) *Switch {
	t.Helper()
	leftOut := t.Skipf
	if os.Getenv("CHAOS_REQUIRED") == "1" {
		leftOut = t.Fatalf
	}
	if os.Geteuid() != 0 {
		leftOut("not run: cutting links takes network namespaces, and these take root")
	}
	for _, tool := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			leftOut("not run: cutting links takes network namespaces, and these take %s: %v", tool, err)
		}
	}
	sw := &Switch{t: t, name: fmt.Sprintf("rdb%d-%s", os.Getpid(), strings.ToLower(t.Name()[max(0, len(t.Name())-8):]))}
	sw.name = strings.ReplaceAll(sw.name, "/", "-")
	if out, err := exec.Command("ip", "netns", "add", sw.name).CombinedOutput(); err != nil {
		leftOut("not run: network namespaces can't be made here: %v: %s", err, out)
	}
	t.Cleanup(func() { sw.ip("netns", "del", sw.name) })
	sw.ip("-n", sw.name, "link", "add", "br0", "type", "bridge")
	sw.ip("-n", sw.name, "link", "set", "br0", "up")
	return sw
}

// Plug makes a namespace at the switch.
func (sw *Switch) Plug() *Namespace {
	sw.t.Helper()
	sw.ports++
	n := &Namespace{
		sw: sw, name: fmt.Sprintf("%s-%d", sw.name, sw.ports), port: fmt.Sprintf("p%d", sw.ports),
		Addr: fmt.Sprintf("10.71.0.%d", sw.ports),
	}
	sw.ip("netns", "add", n.name)
	sw.t.Cleanup(func() { sw.ip("netns", "del", n.name) })
	for _, args := range [][]string{
		{"-n", sw.name, "link", "add", n.port, "type", "veth", "peer", "name", "eth0", "netns", n.name},
		{"-n", sw.name, "link", "set", n.port, "master", "br0"},
		{"-n", sw.name, "link", "set", n.port, "up"},
		{"-n", n.name, "addr", "add", n.Addr + "/24", "dev", "eth0"},
		{"-n", n.name, "link", "set", "lo", "up"},
		{"-n", n.name, "link", "set", "eth0", "up"},
	} {
		sw.ip(args...)
	}
	return n
}

func (sw *Switch) ip(args ...string) {
	sw.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		sw.t.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// Cut takes the namespace off the switch, or puts it back. What is sent meanwhile vanishes.
func (n *Namespace) Cut(cut bool) {
	n.sw.t.Helper()
	// Not the link itself: a machine whose link is down knows it, and one that can't be reached does not.
	if cut {
		n.sw.ip("-n", n.sw.name, "link", "set", n.port, "nomaster")
		return
	}
	n.sw.ip("-n", n.sw.name, "link", "set", n.port, "master", "br0")
}

// Isolate takes away the ways between this namespace and others that are isolated, or brings them back; those
// to the others stay.
func (n *Namespace) Isolate(on bool) {
	n.sw.t.Helper()
	state := "off"
	if on {
		state = "on"
	}
	n.sw.ip("-n", n.sw.name, "link", "set", n.port, "type", "bridge_slave", "isolated", state)
}

// Lose has what this namespace sends to another one vanish, or ends that; what the other one sends arrives.
func (n *Namespace) Lose(to *Namespace, lose bool) {
	n.sw.t.Helper()
	if lose { // the hardware address of nobody
		n.sw.ip("-n", n.name, "neigh", "replace", to.Addr, "lladdr", "02:00:00:00:00:01", "nud", "permanent", "dev", "eth0")
		return
	}
	n.sw.ip("-n", n.name, "neigh", "del", to.Addr, "dev", "eth0")
}

// wrap is the command line that runs a program inside. The process id stays.
func (n *Namespace) wrap(argv ...string) []string {
	if n == nil {
		return argv
	}
	return append([]string{"nsenter", "--net=/run/netns/" + n.name}, argv...)
}

// Dial connects by TCP from inside the namespace.
func (n *Namespace) Dial(addr string) (conn net.Conn, err error) {
	if n == nil {
		return net.Dial("tcp", addr)
	}
	ns, err := os.Open("/run/netns/" + n.name)
	if err != nil {
		return nil, err
	}
	defer ns.Close() //nolint:errcheck // it was only read
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer own.Close() //nolint:errcheck // as above
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("enter a network namespace: %w", err)
	}
	conn, err = net.Dial("tcp", addr)
	// The thread goes back: were it to end, so would the processes that it has started (Pdeathsig).
	if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(fmt.Sprintf("leave a network namespace: %v", back))
	}
	return conn, err
}
