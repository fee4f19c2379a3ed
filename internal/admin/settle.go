package admin

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/wire"
)

// settleMost is how long Connect waits for presence from other servers of a cluster.
const settleMost = 2 * time.Second

// settle waits for the roster and the presence that the server sends at login:
// a server handles one client's stanzas in order, so that the answer to an IQ
// sent behind the initial presence comes behind what that brought about. Presence of
// data nodes that are connected to another server of a cluster takes a way of its
// own: those that answer a ping (XEP-0199) are waited for.
func (c *Client) settle(ctx context.Context) error {
	el, err := c.do(ctx, "", "get", []byte(`<query xmlns='jabber:iq:roster'/>`))
	if err != nil {
		return fmt.Errorf("fetch the roster: %w", err)
	}
	c.nodes.contacts(el)
	ctx, cancel := context.WithTimeout(ctx, settleMost)
	defer cancel()
	var wg sync.WaitGroup
	for _, v := range c.nodes.list() {
		if !v.Online {
			wg.Go(func() { c.await(ctx, v.JID, v.JID) })
			wg.Go(func() { c.await(ctx, v.JID, wire.SecondJID(v.JID)) })
		}
	}
	wg.Wait()
	return nil
}

// await waits for the presence of a data node, if somebody answers at an address of it.
func (c *Client) await(ctx context.Context, jid, address string) {
	if _, err := c.do(ctx, address, "get", []byte(`<ping xmlns='urn:xmpp:ping'/>`)); err != nil {
		return // nobody is there
	}
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for !c.nodes.online(jid) {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
