package op

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Limits of the store, in bytes unless said otherwise.
const (
	MaxRoot      = 512
	MaxPath      = 1024
	MaxValue     = 1 << 20
	MaxRefs      = 4096    // references an object (count)
	MaxMutations = 1024    // mutations a batch (count)
	MaxBatch     = 4 << 20 // keys, values and references of a batch together
	MaxListPage  = 1000    // objects a page (count)
	MaxIndexed   = 8 << 20 // entries of indexes that a batch makes and removes, their names included
	// MaxWindow is how far a sequence may lie above its session's floor (count).
	MaxWindow = 1024
	MaxSeq    = 1<<63 - 1                    // of a session's operations
	MaxTTL    = 100 * 365 * 24 * 3600 * 1000 // of an object, milliseconds
	MaxWait   = 60_000                       // of a Changes read, milliseconds
	MaxAge    = 24 * 3600 * 1000             // of a Stale read, milliseconds
	MaxScalar = 512                          // of a string in an index
	MaxIndex  = 64                           // of an index's name
	MaxCursor = 4 << 10                      // of a Query, which names an entry: MaxScalar, MaxRoot, MaxPath and a little
)

// FullRetry is the hint to who meets a node whose disk is full, in milliseconds:
// meanwhile its leaderships go to replicas that have room.
const FullRetry = 100

// CheckRoot says what is wrong with a root's name: it is 1..MaxRoot bytes of
// UTF-8 without control characters.
func CheckRoot(s string) error {
	if s == "" {
		return fmt.Errorf("root name is empty; name the root object")
	}
	return checkKey("root name", s, MaxRoot)
}

// CheckPath says what is wrong with a path inside a root: 0..MaxPath bytes of
// UTF-8 without control characters. The empty path is the root object itself.
func CheckPath(s string) error { return checkKey("path", s, MaxPath) }

func checkKey(what, s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%s has %d bytes; the limit is %d", what, len(s), limit)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s %q is not valid UTF-8", what, s)
	}
	for _, r := range s {
		// U+FFFE and U+FFFF are no XML characters (XML 1.0, section 2.2).
		if unicode.IsControl(r) || r == 0xFFFE || r == 0xFFFF {
			return fmt.Errorf("%s %q has the control character U+%04X; remove or encode it", what, s, r)
		}
	}
	return nil
}
