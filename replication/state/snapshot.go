package state

import (
	"encoding/binary"
	"fmt"
)

// Snapshot is a whole picture in one piece: its frames, each with its length.
func (p *Partition) Snapshot() (index, term uint64, conf, data []byte, err error) {
	v, err := p.Picture(0)
	if err != nil {
		return 0, 0, nil, nil, err
	}
	defer v.Close()
	index, term, conf = v.Position()
	for n, last := 0, false; !last; n++ {
		var frame []byte
		if frame, last, err = v.Frame(n); err != nil {
			return 0, 0, nil, nil, err
		}
		data = append(binary.LittleEndian.AppendUint32(data, uint32(len(frame))), frame...)
	}
	return index, term, conf, data, nil
}

// RestoreSnapshot puts what Snapshot made in the place of the state.
func (p *Partition) RestoreSnapshot(index, term uint64, conf, data []byte) error {
	name := []byte("snapshot")
	if err := p.dropStaging(); err != nil {
		return err
	}
	s, err := p.Stage(name)
	if err != nil {
		return err
	}
	for len(data) > 0 {
		if len(data) < 4 || uint64(binary.LittleEndian.Uint32(data)) > uint64(len(data)-4) {
			return fmt.Errorf("%w: snapshot is cut short", ErrCorrupt)
		}
		n := binary.LittleEndian.Uint32(data)
		if err := s.Add(data[4 : 4+n]); err != nil {
			return err
		}
		data = data[4+n:]
	}
	return p.Restore(name, index, term, conf)
}
