package appclient

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/ring"
)

const (
	ringTimeout = time.Second            // for one node's answer
	ringPause   = 100 * time.Millisecond // between rounds, so that a rumour of a new epoch costs little
)

// keepRing fetches the ring whenever a newer one is rumoured to exist.
func (c *Client) keepRing(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.stale:
		}
		if err := c.fetchRing(ctx); err != nil {
			c.note(err)
			c.cfg.Logger.Debug("ring not fetched", "err", err)
			notifier(c.stale)()
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

// fetchRing asks one data node after the other until one gives a document.
func (c *Client) fetchRing(ctx context.Context) error {
	conn := c.conn.Load()
	if conn == nil {
		return nil // presence will ask again
	}
	var last error
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
	}
	return last
}

// askRing fetches the ring from one node; nil means that it has no newer one.
func (c *Client) askRing(ctx context.Context, jid string) (*ring.Document, error) {
	conn := c.conn.Load()
	if conn == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, ringTimeout)
	defer cancel()
	known := c.Stats().Epoch
	ask := `<ring xmlns='urn:rosterdb:store:1' epoch='` + strconv.FormatUint(known, 10) + `'/>`
	el, err := c.iqs.Do(ctx, conn, jid, "get", []byte(ask))
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
