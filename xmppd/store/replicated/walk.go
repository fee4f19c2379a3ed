package replicated

import (
	"bytes"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// Records that a walk takes at a time: few at first, since many scans want one.
const (
	firstPage = 8
	maxPage   = 256
)

// walk goes through the stored records of a range, in the order of their keys, page
// by page, so that who reads them may change them meanwhile.
type walk struct {
	r          *reader
	collection string
	rng        store.Range // what is left
	size       int         // of the next page
	page       []stored
	ended      bool
}

// stored is a record as it was found.
type stored struct {
	record
	path string
	err  error // it makes no sense; the key is what the path says of it
}

// peek is the next record that has not been changed; nil if there is none.
func (w *walk) peek(changed *overlay) (*stored, error) {
	for {
		for len(w.page) > 0 {
			if _, ok := changed.find(w.page[0].key); !ok && !w.r.changes.dropped {
				return &w.page[0], nil
			}
			w.page = w.page[1:]
		}
		if w.ended || w.r.changes.dropped {
			return nil, nil
		}
		if err := w.fetch(); err != nil {
			return nil, err
		}
	}
}

func (w *walk) fetch() error {
	from, to := bounds(w.collection, w.rng)
	w.page, w.ended = w.page[:0:0], true
	if from >= to {
		return nil
	}
	run := 0 // where those begin whose paths say the same of their keys
	last := ""
	err := w.r.base.scan(from, to, w.rng.Reverse, func(path string, value []byte) bool {
		if _, part := cutPart(path); part {
			return true
		}
		beginning, _, long := strings.Cut(path, hashed)
		if !long || beginning != last {
			w.order(run)
			run, last = len(w.page), beginning
			if len(w.page) >= w.size {
				w.ended = false
				return false
			}
		}
		if !long {
			last = ""
		}
		rec, err := parseRecord(w.collection, path, value)
		if err != nil {
			rec.key, _ = parseText(strings.TrimPrefix(beginning, w.collection+"/"))
		}
		if inRange(rec.key, w.rng) {
			w.page = append(w.page, stored{rec, path, err})
		}
		return true
	})
	w.order(run)
	if len(w.page) > 0 {
		w.rng = behind(w.rng, w.page[len(w.page)-1].key)
	}
	w.size = min(4*w.size, maxPage)
	return err
}

// order sorts the records of a run.
func (w *walk) order(from int) {
	slices.SortFunc(w.page[from:], func(a, b stored) int {
		if w.rng.Reverse {
			a, b = b, a
		}
		return bytes.Compare(a.key, b.key)
	})
}
