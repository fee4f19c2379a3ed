package devcluster

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os/exec"
)

// The accounts of every development cluster, besides one a data node.
const (
	appAccount      = "app"
	operatorAccount = "operator"

	nodesGroup = "Data nodes"
)

// account is a login to make, with the shared group that puts it into the
// others' rosters; user1 and user2 are chat users outside of the cluster.
type account struct{ name, group string }

func (c *Cluster) accounts() []account {
	list := []account{{appAccount, "Applications"}, {operatorAccount, "Operators"}, {"user1", ""}, {"user2", ""}}
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

// makeAccount works beside a running server too.
func (c *Cluster) makeAccount(ctx context.Context, a account) error {
	password := rand.Text()
	if err := writeSecret(c.files.secret(a.name), []byte(password)); err != nil {
		return err
	}
	args := []string{
		"xmppd", "user", "add",
		"--data", c.files.data(serverID(0)),
		"--domain", c.info.Domain,
		"--password-file", c.files.secret(a.name),
	}
	if a.group != nodesGroup {
		c.info.Accounts[a.name] = Account{JID: c.jid(a.name), Password: password}
	}
	if a.group != "" {
		args = append(args, "--group", a.group)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, c.opts.Binary, append(args, a.name)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	// Out of the terminal's reach: a ctrl-C ends it through ctx.
	cmd.SysProcAttr = childAttributes(false)
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("add account %s: %w", a.name, context.Cause(ctx))
		}
		return fmt.Errorf("add account %s: %w: %s", a.name, err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}
