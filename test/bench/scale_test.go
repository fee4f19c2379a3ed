package main

import (
	"testing"
)

// Every object is put once, whatever the size of the range.
func TestScatter(t *testing.T) {
	for _, n := range []int{1, 2, 7, 1000, 18_000, 900_000} {
		seen := make([]bool, n)
		for i := range n {
			at := scatter(i, n)
			if seen[at] {
				t.Fatalf("of %d, %d is met twice", n, at)
			}
			seen[at] = true
		}
	}
}

func TestCounts(t *testing.T) {
	if got, err := counts("nodes", "3,5,9"); err != nil || len(got) != 3 || got[2] != 9 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := counts("nodes", ""); err != nil || got != nil {
		t.Errorf("nothing: %v, %v", got, err)
	}
	for _, list := range []string{"x", "0", "-3", "5,3", "3,3", "3 5"} {
		if got, err := counts("nodes", list); err == nil {
			t.Errorf("%q was taken for %v", list, got)
		}
	}
}
