package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
)

// server is what surrounds an XMPP server. In namespaces it has two networks: its own link to where this program
// runs, by which clients and data nodes come, and the hub, by which the servers reach each other.
type server struct {
	id     string
	number int
	c2s    string     // where devcluster takes it to listen for clients
	addr   string     // where it does
	ns     *namespace // nil: on loopback
	fronts []*link    // lead from where devcluster takes it to listen to where it does
}

// hubNetwork is that of the servers; nothing else is in their namespaces.
const hubNetwork = "10.71.0."

// firstServer is the number of the first server's namespace: data nodes have lower ones.
const firstServer = 50

// hub is a bridge in a namespace of its own.
type hub string

func newHub() (hub, error) {
	h := hub(fmt.Sprintf("chaos%d-hub", os.Getpid()))
	if err := ip("netns", "add", string(h)); err != nil {
		return "", err
	}
	for _, args := range [][]string{{"link", "add", "br0", "type", "bridge"}, {"link", "set", "br0", "up"}} {
		if err := ip(append([]string{"-n", string(h)}, args...)...); err != nil {
			return "", errors.Join(err, h.remove())
		}
	}
	return h, nil
}

func (h hub) remove() error {
	if h == "" {
		return nil
	}
	return ip("netns", "del", string(h))
}

// plug connects a server's namespace.
func (h hub) plug(x *server) error {
	for _, args := range [][]string{
		{"-n", string(h), "link", "add", x.id, "type", "veth", "peer", "name", "hub0", "netns", x.ns.name},
		{"-n", string(h), "link", "set", x.id, "master", "br0"},
		{"-n", string(h), "link", "set", x.id, "up"},
		{"-n", x.ns.name, "addr", "add", x.hubAddr() + "/24", "dev", "hub0"},
		{"-n", x.ns.name, "link", "set", "hub0", "up"},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	return nil
}

func (x *server) hubAddr() string { return hubNetwork + fmt.Sprint(x.number+1) }

// cut takes a server off the hub, or puts it back. It does not notice, as it would if its own device were down.
func (h hub) cut(id string, cut bool) error {
	if cut {
		return ip("-n", string(h), "link", "set", id, "nomaster")
	}
	return ip("-n", string(h), "link", "set", id, "master", "br0")
}

// part takes the ways between servers away, or brings them back; those to others stay.
func (h hub) part(parted bool, ids ...string) error {
	state := "off"
	if parted {
		state = "on"
	}
	for _, id := range ids {
		if err := ip("-n", string(h), "link", "set", id, "type", "bridge_slave", "isolated", state); err != nil {
			return err
		}
	}
	return nil
}

// serverIDs lists the XMPP servers.
func (s *stage) serverIDs() []string {
	return slices.DeleteFunc(s.cluster.IDs(), func(id string) bool { return !devcluster.IsServer(id) })
}

// launchServer puts an XMPP server into its namespace.
func (s *stage) launchServer(id string, argv []string) ([]string, error) {
	c2s := valueOf(argv, "--listen-c2s")
	x := s.server(id)
	if x == nil {
		x = &server{id: id, number: s.countServers()}
		if s.opt.namespaces {
			var err error
			if x.ns, err = newNamespace(firstServer + x.number); err != nil {
				return nil, err
			}
		}
		s.enter(x)
		if s.hub != "" {
			if err := s.hub.plug(x); err != nil {
				return nil, err
			}
		}
	}
	if x.ns == nil {
		s.listens(x, *c2s, *c2s)
		return argv, nil
	}
	return s.launchInside(x, argv)
}

// launchInside has a server listen in its namespace. Its ports stay, and what devcluster takes for its addresses leads there.
func (s *stage) launchInside(x *server, argv []string) ([]string, error) {
	outside := *valueOf(argv, "--listen-c2s")
	for _, k := range x.fronts {
		k.close()
	}
	x.fronts = nil
	for _, flag := range []string{"--listen-c2s", "--listen-http", "--listen-tls"} {
		at := valueOf(argv, flag)
		if at == nil || *at == "" {
			continue
		}
		inside := x.ns.theirs + (*at)[strings.LastIndex(*at, ":"):]
		front, err := newLink(*at, func() string { return inside })
		if err != nil {
			return nil, err
		}
		x.fronts = append(x.fronts, front)
		*at = inside
	}
	s.listens(x, outside, *valueOf(argv, "--listen-c2s"))
	if config := valueOf(argv, "--config"); config != nil && s.hub != "" {
		text, err := os.ReadFile(*config)
		if err != nil {
			return nil, fmt.Errorf("read the configuration of %s: %w", x.id, err)
		}
		*config = filepath.Join(s.dir, x.id+".toml")
		if err := os.WriteFile(*config, []byte(onHub(string(text), x.number)), 0o600); err != nil {
			return nil, fmt.Errorf("write the configuration of %s: %w", x.id, err)
		}
	}
	return x.ns.wrap(argv), nil
}

var (
	listenLine  = regexp.MustCompile(`(?m)^listen = ".*:`)
	joinLine    = regexp.MustCompile(`(?m)^join = \[.*\]`)
	joinAddress = regexp.MustCompile(`"[^"]*:`)
)

// onHub has a server of a cluster, by its number, listen at the hub, and look for the others there. They are named in order.
func onHub(config string, number int) string {
	config = listenLine.ReplaceAllString(config, fmt.Sprintf(`listen = "%s%d:`, hubNetwork, number+1))
	other := 0
	return joinLine.ReplaceAllStringFunc(config, func(line string) string {
		return joinAddress.ReplaceAllStringFunc(line, func(string) string {
			if other == number {
				other++
			}
			other++
			return fmt.Sprintf(`"%s%d:`, hubNetwork, other)
		})
	})
}

// valueOf is the argument behind a flag; nil: it is not given.
func valueOf(argv []string, flag string) *string {
	i := slices.Index(argv, flag)
	if i < 0 || i+1 == len(argv) {
		return nil
	}
	return &argv[i+1]
}

func (s *stage) server(id string) *server {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.servers, func(x *server) bool { return x.id == id })
	if i < 0 {
		return nil
	}
	return s.servers[i]
}

func (s *stage) countServers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.servers)
}

func (s *stage) enter(x *server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers = append(s.servers, x)
}

// listens notes where a server is to be reached.
func (s *stage) listens(x *server, outside, inside string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.c2s, x.addr = outside, inside
}

// target is where a link to the i-th server leads.
func (s *stage) target(i int) func() string {
	return func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		if i >= len(s.servers) {
			return "" // it has not been started yet
		}
		return s.servers[i].addr
	}
}

// serverAt is the number of the server that devcluster takes to listen at an address for clients.
func (s *stage) serverAt(c2s string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.IndexFunc(s.servers, func(x *server) bool { return x.c2s == c2s })
}

// close gives back what a server had of the system. Its process has ended.
func (x *server) close() error {
	for _, k := range x.fronts {
		k.close()
	}
	if x.ns == nil {
		return nil
	}
	return x.ns.remove()
}

// ways are links of one participant to all servers, in their order.
type ways []*link

// newWays listens on ports of a host.
func (s *stage) newWays(host string) (w ways, err error) {
	for i := range s.opt.Servers {
		k, err := newLink(net.JoinHostPort(host, "0"), s.target(i))
		if err != nil {
			w.close()
			return nil, err
		}
		w = append(w, k)
	}
	return w, nil
}

func (w ways) close() {
	for _, k := range w {
		k.close()
	}
}

// each does something with all links.
func (w ways) each(do func(*link)) {
	for _, k := range w {
		do(k)
	}
}

// addrs begins with the i-th server.
func (w ways) addrs(i int) (out []string) {
	for j := range w {
		out = append(out, w[(i+j)%len(w)].addr())
	}
	return out
}

// kill kills a process, and says so to those who wait for all to be well.
func (s *stage) kill(id string) error {
	s.mu.Lock()
	s.strikes++
	s.down[id] = true
	s.mu.Unlock()
	return s.cluster.Kill(id)
}

// restart starts a process again. One at a time is started.
func (s *stage) restart(ctx context.Context, id string) error {
	s.starting.Lock()
	defer s.starting.Unlock()
	s.mu.Lock()
	s.down[id] = true
	s.mu.Unlock()
	err := s.cluster.Restart(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strikes++
	delete(s.down, id)
	return err
}

// struck tells how often processes were killed and started, and whether all run that should.
func (s *stage) struck() (strikes int, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.strikes, len(s.down) == 0
}

// waitHealthy waits until the cluster serves with all nodes.
func (s *stage) waitHealthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthy)
	defer cancel()
	for {
		before, _ := s.struck()
		err := s.cluster.WaitHealthy(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		// It is no reason to end that another lane has killed something meanwhile.
		if now, all := s.struck(); now == before && all {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond): // the pause of a poll
		}
	}
}
