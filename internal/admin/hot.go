package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
)

// Hot asks all data nodes of the ring that are there for the objects that are
// read and written most, and adds up what they tell: at most limit of each. The
// nodes that did not answer are in the error, next to what the others told.
func (c *Client) Hot(ctx context.Context, limit int) (adminxml.Hot, error) {
	doc, err := c.Ring(ctx)
	if err != nil {
		return adminxml.Hot{}, err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var all adminxml.Hot
	var failed []error
	for _, m := range doc.Members {
		wg.Go(func() {
			var one adminxml.Hot
			err := c.ask(ctx, m.JID, "get", adminxml.CmdHot, strconv.Itoa(limit), &one)
			mu.Lock()
			defer mu.Unlock()
			if isCondition(err, "forbidden") {
				err = fmt.Errorf("%w: %w", ErrNotOperator, err)
			}
			if err != nil {
				failed = append(failed, err)
				return
			}
			all.Reads = append(all.Reads, one.Reads...)
			all.Writes = append(all.Writes, one.Writes...)
		})
	}
	wg.Wait()
	all.Reads, all.Writes = hottest(all.Reads, limit), hottest(all.Writes, limit)
	return all, errors.Join(failed...)
}

// hottest adds up the rates of equal objects and keeps the highest.
func hottest(keys []adminxml.HotKey, limit int) []adminxml.HotKey {
	at := make(map[[2]string]int)
	out := []adminxml.HotKey{}
	for _, k := range keys {
		key := [2]string{k.Root, k.Path}
		i, known := at[key]
		if !known {
			at[key] = len(out)
			out = append(out, k)
			continue
		}
		out[i].Rate += k.Rate
		out[i].Least += k.Least
	}
	slices.SortStableFunc(out, func(a, b adminxml.HotKey) int {
		return cmp.Or(cmp.Compare(b.Least, a.Least), cmp.Compare(b.Rate, a.Rate))
	})
	return out[:min(limit, len(out))]
}
