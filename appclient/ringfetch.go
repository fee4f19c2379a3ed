package appclient

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/ring"
)

const (
	ringTimeout = time.Second            // for one node's answer
	ringPause   = 100 * time.Millisecond // between rounds, so that a rumour of a new epoch costs little
)

// deniedRounds is how many rounds in a row must end with a denial, before there is
// any ring, for it to be final: the first node whose presence arrives may be one
// that has not heard of a new grant.
const deniedRounds = 2

// keepRing fetches the ring whenever a newer one is rumoured to exist. An account
// that may not have even the first is told in ended.
func (c *Client) keepRing(ctx context.Context, ended chan<- error) {
	denied := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.stale:
		}
		err := c.fetchRing(ctx)
		if err != nil {
			c.note(err)
			c.cfg.Logger.Debug("ring not fetched", "err", err)
			notifier(c.stale)()
		}
		if denied++; !errors.Is(err, ErrDenied) || c.Stats().Epoch > 0 {
			denied = 0
		}
		if denied == deniedRounds {
			ended <- err
			return
		}
		c.checkReady()
		t := time.NewTimer(ringPause)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
	}
}

// fetchRing asks one data node after the other until one gives a document. It ends
// with ErrDenied if none did and one refuses the account.
func (c *Client) fetchRing(ctx context.Context) error {
	if !c.up() {
		return nil // presence will ask again
	}
	var last, denied error
	for _, jid := range c.engine.ringSources() {
		doc, err := c.askRing(ctx, jid)
		if err == nil {
			if doc == nil {
				continue // it lags behind; others may not
			}
			err = c.engine.install(doc)
		}
		if err == nil {
			return nil
		}
		last = err
		if told := (*xmppconn.StanzaError)(nil); errors.As(err, &told) && told.Condition == "forbidden" && !c.engine.outside(jid) {
			denied = fmt.Errorf("%w: %w", ErrDenied, err)
		}
	}
	if denied != nil {
		return denied
	}
	return last
}

// askRing fetches the ring from one node; nil means that it has no newer one.
func (c *Client) askRing(ctx context.Context, jid string) (*ring.Document, error) {
	address, stream := c.engine.addressOf(jid)
	conn := c.streams[stream].conn.Load()
	if conn == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, ringTimeout)
	defer cancel()
	known := c.Stats().Epoch
	ask := `<ring xmlns='urn:rosterdb:store:1' epoch='` + strconv.FormatUint(known, 10) + `'/>`
	el, err := c.iqs.Do(ctx, conn, address, "get", []byte(ask))
	if err != nil {
		return nil, fmt.Errorf("fetch ring: %w", err)
	}
	text := textOf(el)
	if len(text) == 0 {
		if known == 0 {
			return nil, fmt.Errorf("fetch ring from %s: %w", jid, errNoRing)
		}
		return nil, nil
	}
	doc, err := ring.Decode(text)
	if err != nil {
		return nil, fmt.Errorf("fetch ring from %s: %w", jid, err)
	}
	return doc, nil
}

// textOf returns the text right under the element.
func textOf(el []byte) (text []byte) {
	p := stanza.Parse(el)
	for {
		switch p.Next() {
		case stanza.EOF:
			return text
		case stanza.Text:
			text = append(text, p.Text()...)
		}
	}
}
