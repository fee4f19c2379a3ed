package replicated

import (
	"bytes"
	"slices"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// changes are what an update that runs has changed.
type changes struct {
	dropped     bool // what is stored counts no more
	collections map[string]*overlay
}

// overlay is what has changed in one collection, by key. A nil one is empty.
type overlay struct{ list []change }

type change struct {
	key, value []byte
	deleted    bool
}

// of is the overlay of a collection, nil if nothing has changed in it.
func (c *changes) of(collection string) *overlay { return c.collections[collection] }

func (c *changes) set(collection string, ch change) {
	o := c.collections[collection]
	if o == nil {
		o = new(overlay)
		if c.collections == nil {
			c.collections = make(map[string]*overlay)
		}
		c.collections[collection] = o
	}
	i, found := o.search(ch.key)
	if found {
		o.list[i] = ch
		return
	}
	o.list = slices.Insert(o.list, i, ch)
}

// clone copies the changes, not the keys and values.
func (c *changes) clone() changes {
	n := changes{dropped: c.dropped}
	if len(c.collections) > 0 {
		n.collections = make(map[string]*overlay, len(c.collections))
	}
	for name, o := range c.collections {
		n.collections[name] = &overlay{slices.Clone(o.list)}
	}
	return n
}

func (o *overlay) search(key []byte) (int, bool) {
	if n := len(o.list); n > 0 && bytes.Compare(o.list[n-1].key, key) < 0 {
		return n, false // most come in order
	}
	return slices.BinarySearchFunc(o.list, key, func(c change, key []byte) int { return bytes.Compare(c.key, key) })
}

func (o *overlay) find(key []byte) (change, bool) {
	if o == nil {
		return change{}, false
	}
	i, found := o.search(key)
	if !found {
		return change{}, false
	}
	return o.list[i], true
}

// next is the first record of a range that was written, but none behind limit, if
// there is one; nil if there is none.
func (o *overlay) next(r store.Range, limit *stored) *change {
	if o == nil {
		return nil
	}
	i, step := 0, 1
	if r.Reverse {
		i, step = len(o.list)-1, -1
		if r.To != nil {
			i, _ = o.search(r.To)
			i--
		}
	} else {
		i, _ = o.search(r.From)
	}
	for ; i >= 0 && i < len(o.list); i += step {
		c := &o.list[i]
		if !inRange(c.key, r) || limit != nil && (bytes.Compare(c.key, limit.key) > 0) != r.Reverse {
			return nil
		}
		if !c.deleted {
			return c
		}
	}
	return nil
}

func (o *overlay) all() []change {
	if o == nil {
		return nil
	}
	return o.list
}
