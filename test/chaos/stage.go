package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	clients ways
	opt     *Options
	hub     hub // of the servers; empty: they are on loopback

	starting sync.Mutex // held while a process is started again

	// members is held for reading by whoever acts on data nodes, and for writing
	// by who adds and removes them.
	members sync.RWMutex

	mu      sync.Mutex
	servers []*server         // in order
	nodes   map[string]*place // by id
	done    powerfs.Stats     // of disks that are gone
	strikes int               // processes that were killed or started again
	down    map[string]bool   // processes that were killed
}

// place is what surrounds a data node.
type place struct {
	id   string
	ways ways
	ns   *namespace    // nil: on loopback
	disk *powerfs.Disk // nil: the host's file system
	path string        // where the disk is mounted

	mounted *powerfs.Mounted // nil: not at present
}

// newStage starts a cluster in dir. Close ends it.
func newStage(ctx context.Context, o *Options) (*stage, error) {
	s := &stage{plant: o.Plant, dir: o.Dir, opt: o, nodes: make(map[string]*place), down: make(map[string]bool)}
	var err error
	if o.namespaces && o.Servers > 1 {
		s.hub, err = newHub()
	}
	if err == nil {
		s.clients, err = s.newWays("127.0.0.1")
	}
	if err == nil {
		s.cluster, err = devcluster.Start(ctx, devcluster.Options{
			Dir: filepath.Join(o.Dir, "cluster"), Binary: o.Binary, Servers: o.Servers, Nodes: o.Nodes, Partitions: o.Partitions,
			DieWithParent: true, StartTimeout: healthy, Launch: s.launch,
		})
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// place returns what surrounds a data node, and makes it for a new one.
func (s *stage) place(id string) (*place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.nodes[id]; p != nil {
		return p, nil
	}
	p := &place{id: id, path: filepath.Join(s.dir, "mounts", id)}
	s.nodes[id] = p
	var err error
	listen := "127.0.0.1"
	if s.opt.namespaces {
		if p.ns, err = newNamespace(s.freeNamespace()); err != nil {
			return nil, err
		}
		listen = p.ns.ours
	}
	if p.ways, err = s.newWays(listen); err != nil {
		return nil, err
	}
	if s.opt.disks {
		backing := filepath.Join(s.dir, "disks", id)
		if err := os.MkdirAll(backing, 0o700); err != nil {
			return nil, fmt.Errorf("make a disk: %w", err)
		}
		p.disk = powerfs.New(backing, diskSize)
		p.disk.SetSyncTime(s.opt.SyncTime)
	}
	return p, nil
}

// freeNamespace is the lowest number that no namespace has. s.mu is held.
func (s *stage) freeNamespace() int {
	taken := make(map[int]bool)
	for _, p := range s.nodes {
		if p.ns != nil {
			taken[p.ns.number] = true
		}
	}
	i := 0
	for taken[i] {
		i++
	}
	return i
}

// node is a data node's place.
func (s *stage) node(id string) *place {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nodes[id]
}

// add starts one data node more.
func (s *stage) add(ctx context.Context, id string) error {
	s.members.Lock()
	defer s.members.Unlock()
	_, err := s.cluster.Add(ctx, id)
	return err
}

// wipe kills a data node and starts one of the same name with an empty disk.
func (s *stage) wipe(ctx context.Context, id string) error {
	s.members.Lock()
	defer s.members.Unlock()
	if err := s.kill(id); err != nil {
		return err
	}
	if err := s.discard(ctx, id); err != nil {
		return err
	}
	_, err := s.cluster.Add(ctx, id)
	return err
}

// remove stops a data node for good.
func (s *stage) remove(ctx context.Context, id string) error {
	s.members.Lock()
	defer s.members.Unlock()
	return s.discard(ctx, id)
}

// discard is remove with members held.
func (s *stage) discard(ctx context.Context, id string) error {
	if err := s.cluster.Remove(ctx, id); err != nil {
		return err
	}
	s.mu.Lock()
	p := s.nodes[id]
	delete(s.nodes, id)
	s.done = sum(s.done, p)
	s.mu.Unlock()
	return p.close()
}

// launch leads a process through its link, namespace and disk.
func (s *stage) launch(id string, argv []string) ([]string, error) {
	if devcluster.IsServer(id) {
		return s.launchServer(id, argv)
	}
	p, err := s.place(id)
	if err != nil {
		return nil, err
	}
	for i := range argv {
		if argv[i] == "--addr" {
			argv[i+1] = p.ways[s.serverAt(argv[i+1])].addr()
		}
	}
	if p.disk != nil {
		argv[slices.Index(argv, "--dir")+1] = p.path
		if err := p.mount(); err != nil {
			return nil, err
		}
	}
	if s.plant.inNode() {
		argv = append([]string{argv[0], faultyNode, string(s.plant)}, argv[2:]...)
	}
	if p.ns != nil {
		argv = p.ns.wrap(argv)
	}
	return argv, nil
}

func (p *place) mount() error {
	if p.mounted != nil {
		return nil
	}
	err := os.MkdirAll(p.path, 0o700)
	if err == nil {
		p.mounted, err = powerfs.Mount(p.disk, p.path)
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
		if d := s.node(id).disk; d != nil {
			d.PowerOff()
		}
	}
	for i, id := range ids {
		p := s.node(id)
		if err := s.kill(id); err != nil {
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

// dial logs a client in through the clients' links, at the i-th server first.
func (s *stage) dial(ctx context.Context, i int) (*appclient.Client, error) {
	cfg, err := appclient.FromDev(s.cluster.File())
	if err != nil {
		return nil, err
	}
	cfg.Addrs = s.clients.addrs(i)
	ctx, cancel := context.WithTimeout(ctx, healthy)
	defer cancel()
	return appclient.Dial(ctx, cfg)
}

// ids lists the data nodes.
func (s *stage) ids() []string {
	return slices.DeleteFunc(s.cluster.IDs(), devcluster.IsServer)
}

// close ends all processes and gives back what the stage has of the system.
func (s *stage) close() error {
	var errs []error
	if s.cluster != nil {
		errs = append(errs, s.cluster.Close())
	}
	s.clients.close()
	for _, p := range s.nodes {
		errs = append(errs, p.close())
	}
	for _, x := range s.servers {
		errs = append(errs, x.close())
	}
	errs = append(errs, s.hub.remove())
	return errors.Join(errs...)
}

// close gives back what a data node had of the system. Its process has ended.
func (p *place) close() error {
	p.ways.close()
	err := p.unmount()
	if p.disk != nil {
		err = errors.Join(err, p.disk.Close())
	}
	if p.ns != nil {
		err = errors.Join(err, p.ns.remove())
	}
	return err
}

// disks is what has happened to all disks together.
func (s *stage) disks() powerfs.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.done
	for _, p := range s.nodes {
		all = sum(all, p)
	}
	return all
}

func sum(a powerfs.Stats, p *place) powerfs.Stats {
	if p.disk == nil {
		return a
	}
	b := p.disk.Stats()
	return powerfs.Stats{
		Syncs: a.Syncs + b.Syncs, Cuts: a.Cuts + b.Cuts, Lost: a.Lost + b.Lost,
		Survived: a.Survived + b.Survived, Forgotten: a.Forgotten + b.Forgotten,
	}
}
