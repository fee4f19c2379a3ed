package command

import (
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/ring"
)

// TestTheSameIndexTwice: a script can be run again; another definition under the
// name is refused.
func TestTheSameIndexTwice(t *testing.T) {
	x := ring.Index{Name: "by-age", Field: "age"}
	d, err := indexEdit(x)(goldenRing(t))
	if err != nil || len(d.Indexes) != 1 {
		t.Fatal(err)
	}
	if next, err := indexEdit(x)(d); next != nil || err != nil {
		t.Errorf("again: %v, %v", next, err)
	}
	x.Field = "years"
	if _, err := indexEdit(x)(d); err == nil || !strings.Contains(err.Error(), "another definition") {
		t.Errorf("another definition: %v", err)
	}
}
