package state

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/internal/op"
)

// Errors of a cut.
var (
	// ErrPassed: log time is beyond the cut already; choose a later one.
	ErrPassed = errors.New("log time has passed the cut")
	// ErrBusy: too many cuts of the partition wait.
	ErrBusy = errors.New("too many cuts wait")
)

// maxCuts is how many cuts of a partition may wait.
const maxCuts = 4

// cut is a picture that somebody waits for.
type cut struct {
	at   int64
	take func(*Picture, error)
}

// astray is how far beyond a cut log time may be that was never wrong, in milliseconds.
const astray = 60_000

// CutAt asks for a picture of the state as of log time t: all entries of that time
// and before, and no others. Pictures of one t of all partitions are a consistent
// cut, because log time is causal. take is called once: when an entry of a later
// time is about to be applied (propose a tick where nothing else comes, see
// [Partition.CutDue]), or with an error if the state was replaced meanwhile. It is
// called with the partition locked: it must not block nor call the partition, and
// closes the picture some time. Errors: ErrPassed, ErrBusy.
//
// A partition that is a minute beyond t is taken as it is, at once: who asks for a cut
// gives up sooner, so a clock was wrong once, and log time may be hours ahead for ever.
func (p *Partition) CutAt(t int64, take func(*Picture, error)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.pos.logTime > t+astray:
		take(p.picture(0))
		return nil
	case p.pos.logTime > t:
		return fmt.Errorf("%w: partition %d is at %d, asked for %d", ErrPassed, p.id, p.pos.logTime, t)
	case len(p.cuts) >= maxCuts:
		return fmt.Errorf("%w: partition %d", ErrBusy, p.id)
	}
	p.cuts = append(p.cuts, cut{t, take})
	return nil
}

// CutDue is the time, in milliseconds since 1970, at which a tick brings a cut that
// waits; 0: none does.
func (p *Partition) CutDue() int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	due := int64(0)
	for _, c := range p.cuts {
		if due == 0 || c.at+1 < due {
			due = c.at + 1
		}
	}
	return due
}

// reachCuts takes the pictures that are due before log time becomes now. The lock
// is held.
func (p *Partition) reachCuts(now int64) {
	p.endCuts(func(c cut) bool {
		if c.at >= now {
			return false
		}
		c.take(p.picture(0))
		return true
	})
}

// failCuts gives up cuts: all of them, or those that log time has passed. The lock
// is held.
func (p *Partition) failCuts(all bool) {
	p.endCuts(func(c cut) bool {
		if !all && c.at >= p.pos.logTime {
			return false
		}
		c.take(nil, fmt.Errorf("%w: the state of partition %d was replaced meanwhile", ErrPassed, p.id))
		return true
	})
}

func (p *Partition) endCuts(over func(cut) bool) { p.cuts = slices.DeleteFunc(p.cuts, over) }

// Place is an object's place in the order of a picture.
type Place struct{ Root, Path string }

// Objects visits the objects of a picture that there are at log time now, in order:
// from the one at a place on, or behind it; from the first where it is nil. It ends
// when visit is false. What visit gets is valid during the call only. A damaged record
// is noticed like one that a read meets. Errors: ErrCorrupt.
func (v *Picture) Objects(from *Place, behind bool, now int64, visit func(*op.Object) bool) error {
	err := v.store.guard(func() error { return v.objects(from, behind, now, visit) })
	if errors.Is(err, ErrCorrupt) {
		if p, gone := v.store.Partition(v.id); gone == nil {
			p.noticed(err)
		}
	}
	return err
}

func (v *Picture) objects(from *Place, behind bool, now int64, visit func(*op.Object) bool) error {
	at := place{part: slices.IndexFunc(v.parts, func(t pictured) bool { return t.number == tableObjects })}
	part := at.part
	if from != nil {
		at.key = string(appendKey(nil, from.Root, from.Path))
		if behind {
			at.key += "\x00" // the least key that is greater
		}
	}
	defer v.pages.forget()
	w, err := v.walkFrom(at)
	for ; err == nil && w.key != nil && w.part == part; err = w.next() {
		o, err := decodeObject(w.payload)
		if err != nil {
			return err
		}
		if !o.live(now) {
			continue
		}
		root, path, _ := strings.Cut(string(w.key), "\x00")
		out := op.Object{
			Root: root, Path: path, Version: o.version, Size: uint64(len(o.value)), Expires: o.expires, Value: o.value, Refs: decodeRefs(o.refs),
		}
		if !visit(&out) {
			return nil
		}
	}
	return err
}

// Time is the log time of the picture, in milliseconds since 1970.
func (v *Picture) Time() int64 { return v.pos.logTime }
