package devcluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/ring"
)

// pollEvery is the pause between two looks at something that starts.
const pollEvery = 25 * time.Millisecond

// awaitHTTP waits until the URL answers 200, or the process ends.
func awaitHTTP(ctx context.Context, p *process, url string) error {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	err := poll(ctx, pollEvery, func() (bool, error) {
		if p.exited() {
			return false, p.diedError()
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false, fmt.Errorf("health check: %w", err)
		}
		res, err := client.Do(req)
		if err != nil {
			return false, nil // not listening yet
		}
		return res.StatusCode == http.StatusOK, res.Body.Close()
	})
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s does not answer on %s: %w; the end of %s:\n%s", p.id, url, err, p.log, tail(p.log, 12))
	}
	return err
}

// Config returns the settings to log in as one of the accounts.
func (i *Info) Config(account string) (xmppconn.Config, error) {
	a, ok := i.Accounts[account]
	if !ok {
		return xmppconn.Config{}, fmt.Errorf("the cluster description has no account %q", account)
	}
	cfg := xmppconn.Config{JID: a.JID, Password: a.Password, InsecurePlaintext: i.InsecurePlaintext}
	for _, s := range i.Servers {
		cfg.Addrs = append(cfg.Addrs, s.C2S)
	}
	if i.InsecurePlaintext {
		return cfg, nil
	}
	pem, err := os.ReadFile(i.CA)
	if err != nil {
		return cfg, fmt.Errorf("read the cluster's certificate authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return cfg, fmt.Errorf("%s holds no certificate", i.CA)
	}
	cfg.TLS = &tls.Config{RootCAs: roots, ServerName: i.Domain, MinVersion: tls.VersionTLS12}
	return cfg, nil
}

// watched runs a step of the start that is given up as soon as one of the
// processes ends; the error is then that process's.
func (c *Cluster) watched(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		// It ends with ctx at the latest, by cancel below.
		_ = poll(ctx, pollEvery, func() (bool, error) {
			p := c.ended()
			if p != nil {
				cancel(p.diedError())
			}
			return p != nil, nil
		})
	})
	err := step(ctx)
	cancel(nil)
	watch.Wait()
	var died *diedError
	if errors.As(context.Cause(ctx), &died) {
		return died
	}
	return err
}

// bootstrap makes the store out of the data nodes, or finds that it is one
// already, and waits until it is healthy.
func (c *Cluster) bootstrap(ctx context.Context, opt admin.BootstrapOptions) error {
	op, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer op.Close()
	c.opts.Progress("waiting until the roster shows all data nodes available")
	if err := c.await(ctx, func() (bool, string) { return c.allOnline(op) }); err != nil {
		return err
	}
	doc, err := c.makeRing(ctx, op, opt)
	if err != nil {
		return fmt.Errorf("bootstrap the store: %w%s", err, c.logTails())
	}
	c.opts.Progress(fmt.Sprintf("waiting until all %d partitions have a leader", doc.Partitions))
	return c.await(ctx, func() (bool, string) { return led(ctx, op, doc) })
}

// makeRing bootstraps the store, or completes a bootstrap that was interrupted. A
// ring that has changed since was complete; not all data nodes need be members. Nor is it
// made anew where a member is lost: the others may serve, and an operator replaces it.
func (c *Cluster) makeRing(ctx context.Context, op *admin.Client, opt admin.BootstrapOptions) (*ring.Document, error) {
	jids := make([]string, 0, len(c.info.Nodes))
	for _, n := range c.info.Nodes {
		jids = append(jids, n.JID)
	}
	if doc, err := op.Ring(ctx); err == nil {
		views := op.Nodes()
		if doc.Epoch > 1 || slices.ContainsFunc(doc.Members, func(m ring.Member) bool { return lost(&m, views) }) {
			return doc, nil
		}
		jids = jids[:0]
		for _, m := range doc.Members {
			jids = append(jids, m.JID)
		}
	}
	c.opts.Progress("making the ring")
	return op.Bootstrap(ctx, jids, opt)
}

// lost says whether a member is not there, or there with another disk.
func lost(m *ring.Member, views []admin.NodeView) bool {
	i := slices.IndexFunc(views, func(v admin.NodeView) bool { return v.JID == m.JID && v.Online })
	if i < 0 {
		return true
	}
	store := views[i].Health.Store
	return store != "" && m.Store != "" && store != m.Store
}

func (c *Cluster) connect(ctx context.Context) (*admin.Client, error) {
	cfg, err := c.info.Config(operatorAccount)
	if err != nil {
		return nil, err
	}
	op, err := admin.Connect(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("log in as operator: %w%s", err, c.logTails())
	}
	return op, nil
}

// WaitHealthy waits until every data node is available and every partition has
// a leader. How the accounts are is for WaitTogether.
func (c *Cluster) WaitHealthy(ctx context.Context) error {
	return c.watched(ctx, c.waitHealthy)
}

func (c *Cluster) waitHealthy(ctx context.Context) error {
	op, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer op.Close()
	if err := c.await(ctx, func() (bool, string) { return c.allOnline(op) }); err != nil {
		return err
	}
	return c.await(ctx, func() (bool, string) {
		doc, err := op.Ring(ctx) // each time: a change of the ring may be running
		if err != nil {
			return false, "no ring: " + err.Error()
		}
		return led(ctx, op, doc)
	})
}

// WaitAvailable waits until one process serves: a data node is available in the
// roster, and the XMPP server takes logins.
func (c *Cluster) WaitAvailable(ctx context.Context, id string) error {
	return c.watched(ctx, func(ctx context.Context) error {
		op, err := c.connect(ctx)
		if err != nil {
			return err
		}
		defer op.Close()
		if IsServer(id) {
			return nil
		}
		return c.await(ctx, func() (bool, string) { return c.online(op, id) })
	})
}

// await polls a condition, and says at the end of ctx what was still missing.
func (c *Cluster) await(ctx context.Context, ready func() (ok bool, missing string)) error {
	missing := ""
	err := poll(ctx, pollEvery, func() (ok bool, err error) {
		ok, what := ready()
		if ctx.Err() == nil { // else nobody was asked
			missing = what
		}
		return ok, nil
	})
	if err != nil {
		return fmt.Errorf("the cluster did not get healthy: %s: %w%s", missing, err, c.logTails())
	}
	return nil
}

// ended returns a process that should run and does not.
func (c *Cluster) ended() *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.procs {
		if p.exited() {
			return p
		}
	}
	return nil
}

func (c *Cluster) allOnline(op *admin.Client) (bool, string) {
	var ids []string
	for _, n := range c.info.Nodes {
		ids = append(ids, n.ID)
	}
	return c.online(op, ids...)
}

// online says whether the data nodes are available in the roster.
func (c *Cluster) online(op *admin.Client, ids ...string) (bool, string) {
	var waiting []string
	views := op.Nodes()
	for _, n := range c.info.Nodes {
		if !slices.Contains(ids, n.ID) {
			continue
		}
		i := slices.IndexFunc(views, func(v admin.NodeView) bool { return v.JID == n.JID })
		if i < 0 || !views[i].Online {
			waiting = append(waiting, n.ID)
		}
	}
	return len(waiting) == 0, "not available in the roster: " + strings.Join(waiting, ", ")
}

// led says whether every partition has a leader.
func led(ctx context.Context, op *admin.Client, doc *ring.Document) (bool, string) {
	n, all := op.AllLed(ctx, doc)
	return all, fmt.Sprintf("%d of %d partitions have a leader", n, doc.Partitions)
}

// logTails shows the last lines of every log, for errors that no single process
// is to blame for.
func (c *Cluster) logTails() string {
	var b strings.Builder
	for _, id := range c.info.ids() {
		fmt.Fprintf(&b, "\nthe end of %s:\n%s", c.files.log(id), tail(c.files.log(id), 4))
	}
	return b.String()
}
