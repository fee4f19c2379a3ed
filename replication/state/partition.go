package state

import "github.com/rosterdb/rosterdb/internal/op"

// Partition is the state machine of one partition. Apply, SetConf and Restore:
// one caller at a time. Everything else is safe for concurrent use.
type Partition struct{}

// ID is the partition's number.
func (p *Partition) ID() uint32 { panic("unfinished") }

// Applied is the position of the newest applied entry.
func (p *Partition) Applied() (index, term uint64) { panic("unfinished") }

// Durable is the index up to which the state is on disk.
func (p *Partition) Durable() uint64 { panic("unfinished") }

// Conf is the opaque Raft ConfState in force at the applied position.
func (p *Partition) Conf() []byte { panic("unfinished") }

// SetConf applies a configuration entry.
func (p *Partition) SetConf(index, term uint64, conf []byte) { panic("unfinished") }

// Apply applies the entry's command and returns its result. An entry at or
// below the applied position changes nothing. cmd is kept until it is flushed
// and must not be changed; empty cmd is Raft's no-op entry.
func (p *Partition) Apply(index, term uint64, cmd []byte) op.WriteResult { panic("unfinished") }

// Read answers from everything applied. Values in the result may be shared and
// must not be changed.
func (p *Partition) Read(r *op.Read) op.ReadResult { panic("unfinished") }

// SessionOwner is the bare JID that opened the session.
func (p *Partition) SessionOwner(s op.Session) (bareJID string, ok bool) { panic("unfinished") }

// Ring is the ring document and its epoch; 0 where there is none.
func (p *Partition) Ring() (doc []byte, epoch uint64) { panic("unfinished") }

// Snapshot encodes the whole state at the applied position.
func (p *Partition) Snapshot() (index, term uint64, conf, data []byte, err error) {
	panic("unfinished")
}

// Restore replaces the state by a snapshot; durable when it returns. On an
// error the partition is unchanged. Errors: ErrCorrupt, ErrNewerFormat, ErrFull.
func (p *Partition) Restore(index, term uint64, conf, data []byte) error { panic("unfinished") }

// Digest is a hash over the logical content, equal on replicas at the same
// applied position. It reads everything: for tests and the simulator.
func (p *Partition) Digest() uint64 { panic("unfinished") }
