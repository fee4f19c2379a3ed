package sim

import (
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// TestEntries: what belongs into an index is worked out from the objects alone.
func TestEntries(t *testing.T) {
	object := func(root, path, value string) op.Object {
		return op.Object{Root: root, Path: path, Version: 1, Value: []byte(value)}
	}
	objects := []op.Object{
		object("root-0", "p0", `{"n":7}`), object("root-0", "p1", `{"n":3}`), object("root-0", "p2", "c1-7"), object("root-1", "p0", `{"m":1}`),
		object("root-2", "p0", `{"n":3}`), object("witness-0", "p0", `{"n":1}`),
	}
	for path, want := range map[string][]entry{
		"*":  {{"root-0", "p1", 1, 3}, {"root-2", "p0", 1, 3}, {"root-0", "p0", 1, 7}},
		"p0": {{"root-2", "p0", 1, 3}, {"root-0", "p0", 1, 7}},
		"p3": nil,
	} {
		if got := entries(objects, ring.Index{Prefix: "root-", Path: path, Field: "n"}); !slices.Equal(got, want) {
			t.Errorf("path %s: %v, want %v", path, got, want)
		}
	}
}
