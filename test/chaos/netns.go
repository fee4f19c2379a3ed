package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// namespace is a network namespace with one link, a pair of virtual Ethernet
// devices, to where this program runs.
type namespace struct {
	number       int
	name, device string // device: our end
	ours, theirs string // addresses
}

// tried is the number of the namespace that is only made to see whether it can be:
// the last that there are addresses for.
const tried = 62

// namespaces says why there are none here; nil: they work.
func namespaces() error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	for _, tool := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("network namespaces need %s: %w", tool, err)
		}
	}
	n, err := newNamespace(tried)
	if err != nil {
		return err
	}
	inside := n.wrap([]string{"true"})
	if out, failed := exec.Command(inside[0], inside[1:]...).CombinedOutput(); failed != nil {
		err = fmt.Errorf("run a program in a network namespace: %w: %s", failed, strings.TrimSpace(string(out)))
	}
	return errors.Join(err, n.remove())
}

// newNamespace makes namespace i of this process, at most tried, in the network for
// measurements of RFC 2544.
func newNamespace(i int) (*namespace, error) {
	pid := os.Getpid()
	net := fmt.Sprintf("198.%d.%d.", 18+pid%2, pid/2%250)
	n := &namespace{
		number: i,
		name:   fmt.Sprintf("chaos%d-%d", pid, i), device: fmt.Sprintf("ch%d-%d", pid%1_000_000, i),
		ours: net + fmt.Sprint(4*i+1), theirs: net + fmt.Sprint(4*i+2),
	}
	if err := ip("netns", "add", n.name); err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"link", "add", n.device, "type", "veth", "peer", "name", "up0", "netns", n.name},
		{"addr", "add", n.ours + "/30", "dev", n.device},
		{"link", "set", n.device, "up"},
		{"-n", n.name, "addr", "add", n.theirs + "/30", "dev", "up0"},
		{"-n", n.name, "link", "set", "lo", "up"},
		{"-n", n.name, "link", "set", "up0", "up"},
	} {
		if err := ip(args...); err != nil {
			return nil, errors.Join(err, n.remove())
		}
	}
	return n, nil
}

// wrap is the command line that runs argv inside. The process id stays.
func (n *namespace) wrap(argv []string) []string {
	return append([]string{"nsenter", "--net=/run/netns/" + n.name}, argv...)
}

// cut takes the link away, or brings it back. What is sent meanwhile vanishes.
func (n *namespace) cut(cut bool) error {
	state := "up"
	if cut {
		state = "down"
	}
	return ip("link", "set", n.device, state)
}

// remove removes the namespace and both ends of the link.
func (n *namespace) remove() error {
	// The system would do so, too, but only some time after the namespace is gone.
	return errors.Join(ip("link", "del", n.device), ip("netns", "del", n.name))
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
