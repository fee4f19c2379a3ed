package replication

import (
	"errors"
	"fmt"
	"sync"

	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
)

// Transfers does what core asks for to send and to receive snapshots: it holds
// the pictures and the stagings of a node. Its methods may wait for the disk. They
// are safe for concurrent use, but the stage jobs of a group need one caller at a
// time, and their order.
type Transfers struct {
	part func(group uint32) *state.Partition // nil: not held

	mu       sync.Mutex
	closed   bool
	pictures map[uint64]*heldPicture
	stagings map[uint32]*staging
}

// heldPicture makes one frame at a time.
type heldPicture struct {
	mu sync.Mutex
	*state.Picture
	closed bool
}

type staging struct {
	name string
	*state.Staging
}

var errPictureGone = errors.New("the picture is not held any more")

// NewTransfers begins without any; part finds a partition.
func NewTransfers(part func(group uint32) *state.Partition) *Transfers {
	return &Transfers{part: part, pictures: make(map[uint64]*heldPicture), stagings: make(map[uint32]*staging)}
}

// Take takes a picture.
func (t *Transfers) Take(job core.PictureJob) (index, term uint64, conf []byte, err error) {
	part := t.part(job.Group)
	if part == nil {
		return 0, 0, nil, fmt.Errorf("group %d is not held here", job.Group)
	}
	v, err := part.Picture(job.Size)
	if err != nil {
		return 0, 0, nil, err
	}
	index, term, conf = v.Position()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		v.Close()
		return 0, 0, nil, ErrClosed
	}
	t.pictures[job.Number] = &heldPicture{Picture: v}
	return index, term, conf, nil
}

// Frame makes a frame.
func (t *Transfers) Frame(job core.FrameJob) (frame []byte, last bool, err error) {
	t.mu.Lock()
	v := t.pictures[job.Number]
	t.mu.Unlock()
	if v == nil {
		return nil, false, errPictureGone
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, false, errPictureGone
	}
	return v.Frame(job.Frame)
}

// Close closes a picture.
func (t *Transfers) Close(number uint64) {
	t.mu.Lock()
	v := t.pictures[number]
	delete(t.pictures, number)
	t.mu.Unlock()
	if v != nil {
		v.close()
	}
}

func (v *heldPicture) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	v.Picture.Close()
}

// CloseAll closes all pictures, and those still to be taken: the state cannot be
// closed before.
func (t *Transfers) CloseAll() {
	t.mu.Lock()
	all := t.pictures
	t.pictures, t.closed = nil, true
	t.mu.Unlock()
	for _, v := range all {
		v.close()
	}
}

// Stage does a stage job. After state.ErrFull it may be done again when there is
// room.
func (t *Transfers) Stage(job core.StageJob) (next int, done bool, err error) {
	part := t.part(job.Group)
	if part == nil {
		return 0, false, fmt.Errorf("group %d is not held here", job.Group)
	}
	t.mu.Lock()
	s := t.stagings[job.Group]
	t.mu.Unlock()
	if job.Drop {
		t.keep(job.Group, nil)
		return 0, false, part.DropStaging()
	}
	if s == nil || s.name != string(job.Name) || job.Frame == nil {
		st, err := part.Stage(job.Name)
		if err != nil {
			return 0, false, err
		}
		s = &staging{string(job.Name), st}
		t.keep(job.Group, s)
	}
	if job.Frame != nil && job.N == s.Next() {
		if err := s.Add(job.Frame); err != nil {
			return s.Next(), false, err
		}
	}
	if s.Done() {
		t.keep(job.Group, nil)
	}
	return s.Next(), s.Done(), nil
}

func (t *Transfers) keep(group uint32, s *staging) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s == nil {
		delete(t.stagings, group)
	} else {
		t.stagings[group] = s
	}
}
