package devcluster

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
)

// The accounts of every development cluster, besides one a data node.
const (
	appAccount      = "app"
	operatorAccount = "operator"
	shopAccount     = "shop" // an application that may do what it is granted, and nothing before

	nodesGroup = "Data nodes"
)

// account is a login to make, with the shared group that puts it into the
// others' rosters; user1 and user2 are chat users outside of the cluster.
type account struct{ name, group string }

func (c *Cluster) accounts() []account {
	list := []account{{appAccount, "Applications"}, {shopAccount, "Applications"}, {operatorAccount, "Operators"}, {"user1", ""}, {"user2", ""}}
	for _, n := range c.info.Nodes {
		list = append(list, account{n.ID, nodesGroup})
	}
	return list
}

// makeAccounts writes the accounts into the database of the first server before it
// runs. It brings them to all.
func (c *Cluster) makeAccounts(ctx context.Context) error {
	c.opts.Progress("making certificates and accounts")
	for _, a := range c.accounts() {
		if err := c.makeAccount(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// makeAccount makes an account with a new password.
func (c *Cluster) makeAccount(ctx context.Context, a account) error {
	password := rand.Text()
	if err := writeSecret(c.files.secret(a.name), []byte(password)); err != nil {
		return err
	}
	args := []string{"add", "--domain", c.info.Domain, "--password-file", c.files.secret(a.name)}
	if a.group != nodesGroup {
		c.info.Accounts[a.name] = Account{JID: c.jid(a.name), Password: password}
	}
	if a.group != "" {
		args = append(args, "--group", a.group)
	}
	return c.user(ctx, serverID(0), append(args, a.name)...)
}

// ensureAccount makes an account, where it may be there from before.
func (c *Cluster) ensureAccount(ctx context.Context, a account) error {
	secret := c.files.secret(a.name)
	if _, err := os.Stat(secret); err != nil {
		if err := writeSecret(secret, []byte(rand.Text())); err != nil {
			return err
		}
	}
	for _, server := range c.keepers() {
		if c.user(ctx, server, "passwd", "--password-file", secret, a.name) == nil {
			continue
		}
		if err := c.user(ctx, server, "add", "--domain", c.info.Domain, "--password-file", secret, "--group", a.group, a.name); err != nil {
			return err
		}
	}
	return nil
}

// keepers are the servers that have to be told of an account: all, if each has its own, else one that runs.
func (c *Cluster) keepers() (ids []string) {
	for _, s := range c.info.Servers {
		switch {
		case !c.shared():
			ids = append(ids, s.ID)
		case (foreign{s.PID, string(c.files)}).ours():
			return []string{s.ID}
		}
	}
	return ids
}

// user runs a command about an account of a server, also while it runs.
func (c *Cluster) user(ctx context.Context, server string, args ...string) error {
	args = append([]string{"xmppd", "user", args[0], "--data", c.files.data(server)}, args[1:]...)
	name := args[len(args)-1]
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, c.opts.Binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	// Out of the terminal's reach: a ctrl-C ends it through ctx.
	cmd.SysProcAttr = childAttributes(false)
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s account %s: %w", args[2], name, context.Cause(ctx))
	}
	return fmt.Errorf("%s account %s: %w: %s", args[2], name, err, bytes.TrimSpace(out.Bytes()))
}
