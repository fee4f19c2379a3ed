package sim

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	mathrand "math/rand/v2"
)

// seeded is a deterministic source of bytes.
type seeded struct{ src *mathrand.ChaCha8 }

func newSeeded(seed uint64, what byte) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	key[8] = what
	return seeded{mathrand.NewChaCha8(key)}
}

func (s seeded) Read(p []byte) (int, error) { return s.src.Read(p) }

// withRandom runs f with crypto/rand.Reader replaced: raft draws its election
// time-outs from there. Runs of one process must not overlap.
func withRandom(seed uint64, f func()) {
	old := rand.Reader
	rand.Reader = newSeeded(seed, 'r')
	defer func() { rand.Reader = old }()
	f()
}
