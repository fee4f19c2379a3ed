package admin

import (
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
)

func TestHottestAddsUpNodes(t *testing.T) {
	got := hottest([]adminxml.HotKey{
		{Root: "a", Rate: 10, Least: 9},
		{Root: "b", Rate: 12, Least: 12},
		{Root: "a", Rate: 5, Least: 5},
		{Root: "c", Path: "p", Rate: 30, Least: 1},
	}, 2)
	want := []adminxml.HotKey{{Root: "a", Rate: 15, Least: 14}, {Root: "b", Rate: 12, Least: 12}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}
