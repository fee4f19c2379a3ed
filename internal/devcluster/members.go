package devcluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Add makes an account for one data node more, starts it, and returns when it is
// available. It waits to join the ring then. Errors: the name is taken or unfit, or what
// the process says. One that does not become available before ctx ends is stopped, and the
// cluster is described without it again; a data directory that was there before stays.
func (c *Cluster) Add(ctx context.Context, id string) (*Node, error) {
	if !fitsNode(id) {
		return nil, fmt.Errorf("%q is no name for a data node: use letters and digits, as dn4; x is for servers", id)
	}
	_, old := os.Stat(c.files.data(id))
	n, err := c.addNode(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := c.WaitAvailable(ctx, id); err != nil {
		undo := c.remove(context.WithoutCancel(ctx), id, errors.Is(old, fs.ErrNotExist))
		if undo != nil {
			undo = fmt.Errorf("%s could not be removed again: %w", id, undo)
		}
		return nil, errors.Join(fmt.Errorf("%s is not added: %w", id, err), undo)
	}
	return n, nil
}

// fitsNode says whether an id can be a data node's: lower-case letters and
// digits, a letter first, and not x, with which servers begin.
func fitsNode(id string) bool {
	if id == "" || len(id) > 32 || IsServer(id) || id[0] < 'a' || id[0] > 'z' {
		return false
	}
	return strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

func (c *Cluster) addNode(ctx context.Context, id string) (*Node, error) {
	unlock, err := c.refresh()
	if err != nil {
		return nil, err
	}
	defer unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.accounts() {
		if a.name == id {
			return nil, fmt.Errorf("there is an account %s in this cluster already; see `ringctl dev status`", id)
		}
	}
	if len(c.info.Nodes) >= MaxNodes {
		return nil, fmt.Errorf("%d data nodes are the most that a development cluster has", MaxNodes)
	}
	// The account of a node that was removed is there still, unless somebody has removed it.
	if err := c.ensureAccount(ctx, account{id, nodesGroup}); err != nil {
		return nil, err
	}
	n := c.newNode(id)
	if slices.ContainsFunc(c.info.Nodes, func(n Node) bool { return n.Metrics != "" }) {
		metrics, err := ChoosePorts(1, 0)
		if err != nil {
			return nil, err
		}
		n.Metrics = metrics[0]
	}
	c.info.Nodes = append(c.info.Nodes, n)
	last := &c.info.Nodes[len(c.info.Nodes)-1]
	err = c.startNode(last)
	if err == nil {
		err = c.record()
	}
	if err != nil {
		if p := c.procs[id]; p != nil { // one that no file names could not be stopped by anybody
			p.stop(c.opts.StopTimeout)
			delete(c.procs, id)
		}
		c.info.Nodes = c.info.Nodes[:len(c.info.Nodes)-1]
		return nil, err
	}
	n = *last
	return &n, nil
}

// Remove stops a data node and removes its data from the disk. That it is no
// member of the ring any more is for the caller to make sure of. Its account
// stays, so that a new node of that name can be added.
func (c *Cluster) Remove(ctx context.Context, id string) error { return c.remove(ctx, id, true) }

func (c *Cluster) remove(ctx context.Context, id string, data bool) error {
	unlock, err := c.refresh()
	if err != nil {
		return err
	}
	defer unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.info.Nodes, func(n Node) bool { return n.ID == id })
	if i < 0 {
		return fmt.Errorf("no data node %s in this cluster", id)
	}
	n := c.info.Nodes[i]
	if p := c.procs[id]; p != nil && p.pid == n.PID {
		p.stop(c.opts.StopTimeout)
		delete(c.procs, id)
	} else if err := (foreign{n.PID, string(c.files)}).stop(ctx, c.opts.StopTimeout); err != nil {
		return err
	}
	c.info.Nodes = slices.Delete(c.info.Nodes, i, i+1)
	if !data {
		return c.record()
	}
	if err := os.RemoveAll(n.Data); err != nil {
		return errors.Join(fmt.Errorf("remove the data of %s: %w", id, err), c.record())
	}
	return c.record()
}

// refresh locks the directory and reads its description again: another program
// may have changed something since.
func (c *Cluster) refresh() (unlock func(), err error) {
	unlock, err = lockDir(c.files)
	if err != nil {
		return nil, err
	}
	info, err := Load(c.files.info())
	if err != nil {
		unlock()
		return nil, err
	}
	c.mu.Lock()
	c.info = *info
	c.mu.Unlock()
	return unlock, nil
}
