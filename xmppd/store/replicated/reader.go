package replicated

import (
	"bytes"
	"errors"
	"slices"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// snapshot is one root as of one revision. Values are valid until close.
type snapshot interface {
	revision() uint64
	get(path string) (value []byte, ok bool, err error)
	// scan visits the objects in [from, to), upwards or downwards, until visit is false.
	scan(from, to string, down bool, visit func(path string, value []byte) bool) error
	close()
}

// reader is a store.Reader: a snapshot, as an update that runs has changed it.
type reader struct {
	owner   string
	base    snapshot
	changes changes
}

// Get implements store.Reader.
func (r *reader) Get(collection string, key []byte) ([]byte, error) {
	if err := store.Check(collection, key, nil); err != nil {
		return nil, err
	}
	if c, ok := r.changes.of(collection).find(key); ok {
		if c.deleted {
			return nil, store.ErrNotFound
		}
		return c.value, nil
	}
	if r.changes.dropped {
		return nil, store.ErrNotFound
	}
	path := pathOf(collection, key)
	b, ok, err := r.base.get(path)
	switch {
	case err != nil:
		return nil, r.failed(collection, key, err)
	case !ok:
		return nil, store.ErrNotFound
	}
	rec, err := parseRecord(collection, path, b)
	if err == nil {
		rec.value, err = r.whole(path, rec)
	}
	if err != nil {
		return nil, r.failed(collection, key, err)
	}
	return rec.value, nil
}

// failed names the record that can't be read.
func (r *reader) failed(collection string, key []byte, err error) error {
	if errors.Is(err, store.ErrCorrupt) {
		return &store.RecordError{Collection: collection, Owner: r.owner, Key: bytes.Clone(key), Err: err}
	}
	return err
}

// whole is a record's value with all its parts.
func (r *reader) whole(path string, rec record) ([]byte, error) {
	if rec.parts == 0 {
		if rec.value == nil {
			return []byte{}, nil
		}
		return rec.value, nil
	}
	value := append(make([]byte, 0, rec.size), rec.value...)
	for i := range rec.parts {
		b, ok, err := r.base.get(partPath(path, i+1))
		if err != nil {
			return nil, err
		}
		if !ok || len(value)+len(b) > rec.size {
			return nil, store.ErrCorrupt
		}
		value = append(value, b...)
	}
	if len(value) != rec.size {
		return nil, store.ErrCorrupt
	}
	return value, nil
}

// Scan implements store.Reader.
func (r *reader) Scan(collection string, rng store.Range, f func(key, value []byte) bool) error {
	if err := store.CheckCollection(collection); err != nil {
		return err
	}
	stored := walk{r: r, collection: collection, rng: rng, size: firstPage}
	left := rng // what is not seen yet
	for {
		changed := r.changes.of(collection)
		base, err := stored.peek(changed)
		if err != nil {
			return err
		}
		var key, value []byte
		if c := changed.next(left, base); c != nil {
			key, value = c.key, c.value
		} else if base == nil {
			return nil
		} else {
			stored.page = stored.page[1:]
			if key, err = base.key, base.err; err == nil {
				value, err = r.whole(base.path, base.record)
			}
			if err != nil {
				return r.failed(collection, key, err)
			}
		}
		if left = behind(left, key); !f(slices.Clip(key), value) {
			return nil
		}
	}
}

// behind is what is left of a range when key was seen.
func behind(r store.Range, key []byte) store.Range {
	if r.Reverse {
		r.To = append([]byte{}, key...)
	} else {
		r.From = append(key[:len(key):len(key)], 0)
	}
	return r
}
