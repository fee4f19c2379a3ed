package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/cespare/xxhash/v2"

	"github.com/rosterdb/rosterdb/ring"
)

// Version is that of the file's format.
const Version = 1

// maxFile is the largest plan file that is read, in bytes.
const maxFile = 64 << 20

// Errors of Load and of Plan.Document.
var (
	// ErrDamaged: the file is no plan, is damaged, or was edited.
	ErrDamaged = errors.New("not a plan as ringctl writes it")
	// ErrNewerFormat: a newer ringctl wrote it.
	ErrNewerFormat = errors.New("the plan is of a newer format; upgrade ringctl, or plan again")
	// ErrRingChanged: the ring is not the one that the plan was made from.
	ErrRingChanged = errors.New("the ring has changed since the plan was made: plan again")
)

// Plan is a change of the ring that somebody may commit. Its JSON is a contract
// with scripts.
type Plan struct {
	Version   int           `json:"version"`
	ID        string        `json:"id"`
	Command   string        `json:"command"` // that makes it again
	Cluster   string        `json:"cluster"` // UUID
	Epoch     uint64        `json:"epoch"`   // of the ring that it was made from
	Ring      string        `json:"ring"`    // checksum of that ring
	Replicas  int           `json:"replicas"`
	Members   []ring.Member `json:"members"` // as the change wants them
	Rounds    []Round       `json:"rounds"`
	Moves     int           `json:"moves"`           // replicas that are made
	Least     int           `json:"least"`           // the fewest possible
	Transfers int           `json:"transfers"`       // preferred leaders that change
	Bytes     int64         `json:"bytes,omitempty"` // to copy, estimated
	Warnings  []string      `json:"warnings"`
	Checksum  string        `json:"checksum"` // XXH64 over the compact JSON with this field empty
}

// Round is a step in which no partition replaces more than one replica.
type Round struct {
	Moves     []Move   `json:"moves"`
	Transfers int      `json:"transfers"`
	Meta      []uint64 `json:"meta"` // the group that keeps the ring
}

// Move is the replacement of one replica; 0 is nobody.
type Move struct {
	Partition uint32 `json:"partition"`
	Add       uint64 `json:"add"`
	Remove    uint64 `json:"remove"`
}

func (p *Plan) sum() (string, error) {
	c := *p
	c.Checksum = ""
	b, err := json.Marshal(&c)
	if err != nil {
		return "", fmt.Errorf("encode plan: %w", err)
	}
	return fmt.Sprintf("%016x", xxhash.Sum64(b)), nil
}

// Save writes the plan to a file, which must not exist unless it holds the very
// same plan.
func (p *Plan) Save(file string) error {
	b, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return fmt.Errorf("encode plan: %w", err)
	}
	b = append(b, '\n')
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, b) {
		return nil
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists: name another file with --out", file)
	}
	if err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

// Load reads a plan. Errors: ErrDamaged, ErrNewerFormat, or the file's.
func Load(file string) (*Plan, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%w: %s has %d bytes", ErrDamaged, file, info.Size())
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	p, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

func decode(b []byte) (*Plan, error) {
	var format struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &format); err != nil || format.Version < 1 {
		return nil, ErrDamaged
	}
	if format.Version > Version {
		return nil, ErrNewerFormat
	}
	p := new(Plan)
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	sum, err := p.sum()
	if err != nil {
		return nil, err
	}
	if sum != p.Checksum {
		return nil, fmt.Errorf("%w: its checksum does not match", ErrDamaged)
	}
	return p, nil
}
