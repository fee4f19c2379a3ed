package devcluster

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestStorage: new servers have their accounts together, and only the first one makes them, once; those that an older version
// has made keep their own.
func TestStorage(t *testing.T) {
	o, err := Options{Dir: t.TempDir(), Servers: 3}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{opts: o, files: layout(o.Dir)}
	if err := c.files.make(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.describe(); err != nil || c.local || !c.founds {
		t.Fatalf("a new cluster: local %v, founds %v: %v", c.local, c.founds, err)
	}
	ends := func(end string) {
		t.Helper()
		for i := range c.info.Servers {
			s := &c.info.Servers[i]
			if err := c.writeConfig(s, c.files.config(s.ID)); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(c.files.config(s.ID))
			if err != nil {
				t.Fatal(err)
			}
			if founds := strings.Contains(string(text), "found = true"); founds != (end == "founds" && i == 0) {
				t.Errorf("%s founds: %v", s.ID, founds)
			}
			if local := strings.Contains(string(text), `storage = "local"`); local != (end == "local") {
				t.Errorf("%s has its own accounts: %v", s.ID, local)
			}
		}
		if local, err := c.madeLocal(); err != nil || local != (end == "local") {
			t.Errorf("started again they have their own: %v, %v", local, err)
		}
	}
	ends("founds")
	if ids := c.keepers(); len(ids) != 0 {
		t.Errorf("%v are told of accounts, and none runs", ids)
	}
	err = c.majority()
	if !errors.Is(err, ErrNoMajority) || !strings.Contains(err.Error(), "2 of 3; down: x1, x2, x3") {
		t.Error(err)
	}
	if err := c.founded(); err != nil {
		t.Fatal(err)
	}
	ends("joins")
	c.local = true
	ends("local")
	if ids := c.keepers(); !slices.Equal(ids, []string{"x1", "x2", "x3"}) {
		t.Errorf("%v are told of accounts", ids)
	}
	if err := c.majority(); !errors.Is(err, ErrNoMajority) || !strings.Contains(err.Error(), "1 of 3") {
		t.Error(err)
	}
}
