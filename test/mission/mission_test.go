// Package mission shows what RosterDB can do, one capability a row, from outside
// over real sockets:
//
//	go test ./test/mission -run 'TestMission/S3'
//
// `make mission` prints one line a row. A row that has no check yet is todo and
// never counts as passed, nor does one that this machine can't show and skips.
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
	count := make(map[string]int)
	for _, r := range rows() {
		state := run(t, r)
		count[state]++
		if *report {
			fmt.Printf("%-4s %-7s %s\n", r.id, state, r.title)
		}
	}
	if *report {
		fmt.Printf("%d of %d rows work, %d are todo, %d were skipped\n", count[works], len(rows()), count[todo], count[skipped])
	}
}

// States of a row.
const (
	works   = "works"
	fails   = "FAILS"
	todo    = "todo"
	skipped = "skipped" // this machine can't show it
)

func run(t *testing.T, r row) (state string) {
	if r.check == nil {
		return todo
	}
	state = fails
	t.Run(r.id, func(t *testing.T) {
		defer func() {
			switch {
			case t.Skipped():
				state = skipped
			case !t.Failed():
				state = works
			}
		}()
		r.check(t)
	})
	return state
}

// TestSkippedIsNotWorking: a row that is left out never counts as one that works.
func TestSkippedIsNotWorking(t *testing.T) {
	for want, check := range map[string]func(*testing.T){
		skipped: func(t *testing.T) { t.Skip("not run: this machine can't") },
		works:   func(*testing.T) {},
		todo:    nil,
	} {
		if got := run(t, row{id: want, check: check}); got != want {
			t.Errorf("a row that is %s counts as %s", want, got)
		}
	}
}
