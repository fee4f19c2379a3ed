// Package mission shows what RosterDB can do, one capability a row, from outside
// over real sockets:
//
//	go test ./test/mission -run 'TestMission/S3'
//
// `make mission` prints one line a row. A row that has no check yet is todo and
// never counts as passed.
package mission

import (
	"flag"
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

var (
	report = flag.Bool("report", false, "print one line a row")
	// binary is the ringctl that the rows use; TestMain builds it.
	binary string
)

func TestMain(m *testing.M) { harness.Main(m, &binary) }

func TestMission(t *testing.T) {
	works, due := 0, 0
	for _, r := range rows() {
		if r.check == nil {
			line(r, "todo")
			continue
		}
		due++
		if t.Run(r.id, r.check) {
			works++
			line(r, "works")
		} else {
			line(r, "FAILS")
		}
	}
	if *report {
		fmt.Printf("%d of %d rows work, %d are todo\n", works, len(rows()), len(rows())-due)
	}
}

func line(r row, state string) {
	if *report {
		fmt.Printf("%-4s %-6s %s\n", r.id, state, r.title)
	}
}
