package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/powerfs"
)

const (
	diskSize = 8 << 30
	// healthy is how long a cluster may take to serve again after a fault.
	healthy = 2 * time.Minute
)

// stage is a cluster whose links and disks this process holds in its hands.
type stage struct {
	cluster *devcluster.Cluster
	plant   Plant
	dir     string
	clients *link
	nodes   map[string]*place // by id

	mu     sync.Mutex
	server string // address of the XMPP server's listener
}

// place is what surrounds a data node.
type place struct {
	id   string
	link *link
	ns   *namespace    // nil: on loopback
	disk *powerfs.Disk // nil: the host's file system

	mounted *powerfs.Mounted // nil: not at present
}

// newStage starts a cluster in dir. Close ends it.
func newStage(ctx context.Context, o *Options) (*stage, error) {
	s := &stage{plant: o.Plant, dir: o.Dir, nodes: make(map[string]*place)}
	err := s.build(o)
	if err == nil {
		s.cluster, err = devcluster.Start(ctx, devcluster.Options{
			Dir: filepath.Join(o.Dir, "cluster"), Binary: o.Binary, Nodes: o.Nodes, Partitions: o.Partitions,
			DieWithParent: true, StartTimeout: healthy, Launch: s.launch,
		})
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	for _, p := range s.nodes {
		if p.disk != nil {
			p.disk.SetLying(o.Plant == LyingDisk)
		}
	}
	return s, nil
}

func (s *stage) build(o *Options) error {
	target := func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.server
	}
	var err error
	if s.clients, err = newLink("127.0.0.1:0", target); err != nil {
		return err
	}
	for i := range o.Nodes {
		p := &place{id: fmt.Sprintf("dn%d", i+1)}
		s.nodes[p.id] = p
		listen := "127.0.0.1"
		if o.namespaces {
			if p.ns, err = newNamespace(i); err != nil {
				return err
			}
			listen = p.ns.ours
		}
		if p.link, err = newLink(net.JoinHostPort(listen, "0"), target); err != nil {
			return err
		}
		if o.disks {
			backing := filepath.Join(o.Dir, "disks", p.id)
			if err := os.MkdirAll(backing, 0o700); err != nil {
				return fmt.Errorf("make a disk: %w", err)
			}
			p.disk = powerfs.New(backing, diskSize)
			p.disk.SetSyncTime(o.SyncTime)
		}
	}
	return nil
}

// launch leads a process through its link, namespace and disk.
func (s *stage) launch(id string, argv []string) ([]string, error) {
	p := s.nodes[id]
	if p == nil { // the XMPP server
		s.mu.Lock()
		defer s.mu.Unlock()
		s.server = argv[slices.Index(argv, "--listen-c2s")+1]
		return argv, nil
	}
	argv[slices.Index(argv, "--addr")+1] = p.link.addr()
	if err := p.mount(argv[slices.Index(argv, "--dir")+1]); err != nil {
		return nil, err
	}
	if s.plant.inNode() {
		argv = append([]string{argv[0], faultyNode, string(s.plant)}, argv[2:]...)
	}
	if p.ns != nil {
		argv = p.ns.wrap(argv)
	}
	return argv, nil
}

func (p *place) mount(path string) error {
	if p.disk == nil || p.mounted != nil {
		return nil
	}
	err := os.MkdirAll(path, 0o700)
	if err == nil {
		p.mounted, err = powerfs.Mount(p.disk, path)
	}
	return err
}

func (p *place) unmount() error {
	if p.mounted == nil {
		return nil
	}
	m := p.mounted
	p.mounted = nil
	return m.Unmount()
}

// powerCut takes the power of data nodes away, all at once.
func (s *stage) powerCut(fate powerfs.Fate, seed uint64, ids ...string) error {
	for _, id := range ids {
		// All first: what one writes because another is gone is lost with it.
		if err := s.cluster.Signal(id, syscall.SIGSTOP); err != nil {
			return err
		}
		if d := s.nodes[id].disk; d != nil {
			d.PowerOff()
		}
	}
	for i, id := range ids {
		p := s.nodes[id]
		if err := s.cluster.Kill(id); err != nil {
			return err
		}
		if err := p.unmount(); err != nil {
			return err
		}
		if p.disk != nil {
			if err := p.disk.Cut(fate, seed+uint64(i)); err != nil {
				return fmt.Errorf("cut the power of %s: %w", id, err)
			}
		}
	}
	return nil
}

// dial logs a client in through the clients' link.
func (s *stage) dial(ctx context.Context) (*appclient.Client, error) {
	cfg, err := appclient.FromDev(s.cluster.File())
	if err != nil {
		return nil, err
	}
	cfg.Addrs = []string{s.clients.addr()}
	ctx, cancel := context.WithTimeout(ctx, healthy)
	defer cancel()
	return appclient.Dial(ctx, cfg)
}

// waitHealthy waits until the cluster serves with all nodes.
func (s *stage) waitHealthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthy)
	defer cancel()
	return s.cluster.WaitHealthy(ctx)
}

// ids lists the data nodes.
func (s *stage) ids() []string {
	return slices.DeleteFunc(s.cluster.IDs(), func(id string) bool { return !strings.HasPrefix(id, "dn") })
}

// close ends all processes and gives back what the stage has of the system.
func (s *stage) close() error {
	var errs []error
	if s.cluster != nil {
		errs = append(errs, s.cluster.Close())
	}
	if s.clients != nil {
		s.clients.close()
	}
	for _, p := range s.nodes {
		if p.link != nil {
			p.link.close()
		}
		errs = append(errs, p.unmount())
		if p.disk != nil {
			errs = append(errs, p.disk.Close())
		}
		if p.ns != nil {
			errs = append(errs, p.ns.remove())
		}
	}
	return errors.Join(errs...)
}
