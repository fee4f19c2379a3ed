package command

import (
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/ring"
)

// TestIndexDefinitions: what would find nothing, or could not be typed again, is
// refused before anybody is asked.
func TestIndexDefinitions(t *testing.T) {
	good := ring.Index{Name: "by-sku_2.x", Prefix: "cart/", Path: "*", Field: "line items.sku"}
	if err := checkIndex(good); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*ring.Index){
		func(x *ring.Index) { x.Name = "" },
		func(x *ring.Index) { x.Name = "Bad Name!" },
		func(x *ring.Index) { x.Name = strings.Repeat("x", 1000) },
		func(x *ring.Index) { x.Field = "" },
		func(x *ring.Index) { x.Field = "a..b" },
		func(x *ring.Index) { x.Field = ".a" },
		func(x *ring.Index) { x.Field = "a. b" },
		func(x *ring.Index) { x.Prefix = "a\x01" },
		func(x *ring.Index) { x.Path = strings.Repeat("p", 5000) },
	} {
		x := good
		change(&x)
		if code, _ := exitCode(checkIndex(x)); code != ExitUsage {
			t.Errorf("%+v: code %d", x, code)
		}
	}
}

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
