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

// makeAccounts writes the accounts into the server's database before it runs.
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
	return c.user(ctx, append(args, a.name)...)
}

// ensureAccount is makeAccount for one that may be there from before.
func (c *Cluster) ensureAccount(ctx context.Context, a account) error {
	secret := c.files.secret(a.name)
	if _, err := os.Stat(secret); err == nil && c.user(ctx, "passwd", "--password-file", secret, a.name) == nil {
		return nil
	}
	return c.makeAccount(ctx, a)
}

// user runs a command about an account, beside a running server too.
func (c *Cluster) user(ctx context.Context, args ...string) error {
	args = append([]string{"xmppd", "user", args[0], "--data", c.files.data(serverID(0))}, args[1:]...)
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
