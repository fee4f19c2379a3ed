package datanode

import "testing"

// TestCommandsKept: memory of commands is used again, each piece by one at a time; neither
// more pieces are kept than the bound says nor larger ones.
func TestCommandsKept(t *testing.T) {
	var c commands
	if c.get() != nil {
		t.Fatal("nothing was given back")
	}
	first := make([]byte, 3, 100)
	c.put(first)
	got := c.get()
	if len(got) != 0 || cap(got) != 100 || &got[:1][0] != &first[0] {
		t.Errorf("got %d of %d bytes", len(got), cap(got))
	}
	if c.get() != nil {
		t.Error("what was given back once is used twice")
	}
	c.put(make([]byte, 0, keepCommand+1))
	for range 2 * keepCommands {
		c.put(make([]byte, 0, 10))
	}
	if len(c.free) != keepCommands || cap(c.free[0]) > keepCommand {
		t.Errorf("%d are kept, the first of %d bytes", len(c.free), cap(c.free[0]))
	}
}
