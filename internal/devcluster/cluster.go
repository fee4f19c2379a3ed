package devcluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Cluster is a running cluster whose processes this program started. Its
// methods are safe for concurrent use.
type Cluster struct {
	opts  Options
	files layout
	spawn *spawner

	local  bool // each XMPP server has its own accounts: an older version has made the cluster
	founds bool // the first server makes what all have together

	mu    sync.Mutex
	info  Info
	procs map[string]*process // by id: "x1", "dn1"…
}

// Start brings a cluster up and returns when it is healthy: every data node is
// available in the roster and every partition has a leader. In a directory of a
// cluster that was stopped it starts that one again, with its data.
//
// When something fails, or ctx ends, the processes started so far are stopped;
// the error shows the end of the log of the one that failed.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	files := layout(o.Dir)
	_, was := os.Stat(o.Dir)
	if err := prepareDir(files); err != nil {
		return nil, err
	}
	unlock, err := lockDir(files)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c := &Cluster{opts: o, files: files, procs: make(map[string]*process)}
	again, err := c.describe()
	if err != nil {
		return nil, err // nothing was started, and what runs here is not ours to stop
	}
	c.spawn = newSpawner()
	ctx, cancel := context.WithTimeout(ctx, o.StartTimeout)
	defer cancel()
	if err := c.start(ctx, again); err != nil {
		c.stopProcesses()
		c.spawn.close()
		err = errors.Join(err, stopRecorded(files))
		if none := (portsError{}); !again && errors.As(err, &none) { // no process has run, and no log is to be read
			err = errors.Join(err, forget(files, errors.Is(was, fs.ErrNotExist)))
		}
		return nil, err
	}
	return c, nil
}

// Attach returns a handle on the cluster of a directory that another program
// has started, to restart processes of it. Give it up with Detach.
func Attach(dir string) (*Cluster, error) {
	o, err := Options{Dir: dir}.withDefaults()
	if err != nil {
		return nil, err
	}
	files := layout(o.Dir)
	info, err := Load(files.info())
	if err != nil {
		return nil, err
	}
	c := &Cluster{opts: o, files: files, info: *info, procs: make(map[string]*process)}
	if c.local, err = c.madeLocal(); err != nil {
		return nil, err
	}
	c.spawn = newSpawner()
	return c, nil
}

// Info returns how to reach the cluster, with the process ids of now.
func (c *Cluster) Info() Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	info := c.info
	info.Servers = slices.Clone(info.Servers)
	info.Nodes = slices.Clone(info.Nodes)
	return info
}

// File returns the path of the description on disk, for ROSTERDB_DEV.
func (c *Cluster) File() string { return c.files.info() }

// Log returns the path of the log of a process.
func (c *Cluster) Log(id string) string { return c.files.log(id) }

// IDs lists the processes, the XMPP servers first.
func (c *Cluster) IDs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info.ids()
}

// NotRunning lists the processes that do not run, whoever started them.
func (c *Cluster) NotRunning() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.notRunning()
}

func (c *Cluster) notRunning() (down []string) {
	for _, id := range c.info.ids() {
		if !(foreign{*c.info.pidOf(id), string(c.files)}).ours() {
			down = append(down, id)
		}
	}
	return down
}

// Served says whether enough XMPP servers run for clients to log in: without them no data node gets anywhere. The
// error is what to do first: start the cluster, or one server where other processes run.
func (c *Cluster) Served() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.notRunning()) == len(c.info.ids()) {
		return fmt.Errorf("the cluster is stopped: `ringctl dev up --dir %s` first", c.files)
	}
	return c.majority()
}

// Kill ends one process with SIGKILL and waits until it is gone.
func (c *Cluster) Kill(id string) error {
	p, err := c.process(id)
	if err != nil {
		return err
	}
	p.kill()
	return nil
}

// Signal sends a signal to one process, for example SIGSTOP.
func (c *Cluster) Signal(id string, sig syscall.Signal) error {
	p, err := c.process(id)
	if err != nil {
		return err
	}
	if err := syscall.Kill(p.pid, sig); err != nil {
		return fmt.Errorf("signal %s: %w", id, err)
	}
	return nil
}

func (c *Cluster) process(id string) (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.procs[id]
	if p == nil {
		return nil, fmt.Errorf("no process %q in this cluster", id)
	}
	return p, nil
}

// recorded is where the id of a process is kept; mu is held.
func (c *Cluster) recorded(id string) (*int, error) {
	if pid := c.info.pidOf(id); pid != nil {
		return pid, nil
	}
	return nil, fmt.Errorf("no process %q in this cluster; there are %s", id, strings.Join(c.info.ids(), ", "))
}

// Stop ends one process, whoever started it, and returns when it has ended: with kill
// by SIGKILL, else as Close does. One that does not run is no error.
func (c *Cluster) Stop(ctx context.Context, id string, kill bool) error {
	unlock, err := c.refresh()
	if err != nil {
		return err
	}
	defer unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	pid, err := c.recorded(id)
	if err != nil {
		return err
	}
	p := foreign{*pid, string(c.files)}
	if kill && p.ours() {
		if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %d: %w", p.pid, err)
		}
	}
	return p.stop(ctx, c.opts.StopTimeout)
}

// Restart starts a process again, with its data and as it was started first,
// and returns when it runs; WaitHealthy waits until it serves. One that still
// runs is stopped before. ErrNoMajority: it runs, and waits for other XMPP servers.
func (c *Cluster) Restart(ctx context.Context, id string) error {
	unlock, err := c.refresh()
	if err != nil {
		return err
	}
	defer unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	pid, err := c.recorded(id)
	if err != nil {
		return err
	}
	if p := c.procs[id]; p != nil && p.pid == *pid {
		p.stop(c.opts.StopTimeout)
	} else if err := (foreign{*pid, string(c.files)}).stop(ctx, c.opts.StopTimeout); err != nil {
		return err
	}
	return c.startRecorded(ctx, id, pid)
}

// Close stops all processes, data nodes first, and waits for them; also those
// that another program has restarted in this cluster's directory. Files stay.
func (c *Cluster) Close() error {
	c.stopProcesses()
	c.spawn.close()
	return Down(string(c.files))
}

// Detach leaves the processes running and gives up the handle: another program
// stops them with Down. It must not be used with DieWithParent.
func (c *Cluster) Detach() { c.spawn.close() }

// stopProcesses stops the children, the XMPP servers last.
func (c *Cluster) stopProcesses() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, servers := range []bool{false, true} {
		var wg sync.WaitGroup
		for id, p := range c.procs {
			if IsServer(id) == servers {
				wg.Go(func() { p.stop(c.opts.StopTimeout) })
			}
		}
		wg.Wait()
	}
	clear(c.procs)
}

// IsServer says whether a process of that id is an XMPP server.
func IsServer(id string) bool { return id != "" && id[0] == 'x' }

// Down stops the cluster in the directory, whoever started it. Process ids are
// believed only if the process's arguments name the directory. Stopping what is
// stopped is no error; a directory without a cluster is.
func Down(dir string) error {
	o, err := Options{Dir: dir}.withDefaults()
	if err != nil {
		return err
	}
	files := layout(o.Dir)
	if _, err := os.Stat(files.lock()); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no development cluster in %s; name the directory given to `ringctl dev up --dir`", o.Dir)
	}
	unlock, err := lockDir(files)
	if err != nil {
		return err
	}
	defer unlock()
	if err := stopRecorded(files); err != nil {
		return err
	}
	info, err := Load(files.info())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a start that never got so far
	}
	if err != nil {
		return err
	}
	for i := range info.Servers {
		info.Servers[i].PID = 0
	}
	for i := range info.Nodes {
		info.Nodes[i].PID = 0
	}
	return info.save(files.info())
}

// Running says whether a recorded process of the cluster in dir, an absolute
// path, still runs.
func Running(dir string, pid int) bool { return foreign{pid, dir}.ours() }
