package sim

import (
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/replication/wal"
)

// TestFaults seeds one mistake at a time: the checks must find each within a
// number of seeds, or a green TestSim means nothing. What is promised at each step has to be found there, and not by what
// clients see in the end.
func TestFaults(t *testing.T) {
	// Few are enough of the right kind, so that a slow machine has the time for them.
	const within = 300
	repairs := []string{"older state taken by a repair", "entries overtake a repair", "entries applied again after a repair", "damaged state answers", "condemned state trusted by a restart"}
	atOnce := map[string]string{
		"no dedupe":                      again,
		"failed condition unrecorded":    again,
		"retry below the floor executed": belowFloor,
		"floor follows a late copy":      belowFloor,
		"indexes not told to partitions": "has the indexes",
	}
	for name, faults := range map[string]Faults{
		"acknowledged before the fsync":            {Core: core.Faults{AckBeforeFsync: true}},
		"WAL does not sync":                        {WAL: wal.Faults{SkipSync: true}},
		"WAL believes wrong checksums":             {WAL: wal.Faults{SkipCRC: true}},
		"applied position outside the transaction": {State: state.Faults{AppliedOutsideTx: true}},
		"no dedupe":                               {State: state.Faults{NoDedupe: true}},
		"failed condition unrecorded":             {State: state.Faults{ConflictUnrecorded: true}},
		"snapshot without sessions":               {State: state.Faults{SnapshotNoSessions: true}},
		"retry below the floor executed":          {State: state.Faults{FloorIgnored: true}},
		"floor follows a late copy":               {State: state.Faults{FloorFalls: true}},
		"read without confirmation":               {Core: core.Faults{UnconfirmedReads: true}},
		"any term confirms a read":                {AnyTermConfirms: true},
		"read confirmed before it began":          {ConfirmedBefore: true},
		"leader answers before its term":          {Core: core.Faults{LeadsUnproven: true}},
		"terms and commits told late":             {PublishedLate: true},
		"stale bound ignored":                     {Core: core.Faults{StaleBoundIgnored: true}},
		"frames of a snapshot taken as they come": {Core: core.Faults{FramesAsTheyCome: true}},
		"wiped disk taken for the old node":       {WipedIsOld: true},
		"what is for another member taken":        {Core: core.Faults{AnyAddressee: true}},
		"joint change skipped":                    {Core: core.Faults{SkipJoint: true}},
		"leadership kept after removal":           {Core: core.Faults{LeadAfterRemoval: true}},
		"replica deleted by a document":           {Core: core.Faults{GoneByDocument: true}},
		"older state taken by a repair":           {Core: core.Faults{OlderState: true}, State: state.Faults{OlderRestored: true}},
		"entries overtake a repair":               {Core: core.Faults{RepairOvertaken: true}},
		"digests of different indexes compared":   {Core: core.Faults{DigestOfAnyIndex: true}},
		"entries applied again after a repair":    {State: state.Faults{AppliedAgain: true}},
		"indexes not told to partitions":          {IndexesUntold: true},
		"damaged state answers":                   {State: state.Faults{DamagedAnswers: true}},
		"condemned state trusted by a restart":    {State: state.Faults{CondemnedInMemory: true}},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Length: DefaultLength, Faults: faults}
			if slices.Contains(repairs, name) {
				o.Damage = 0.7
			}
			for o.Seed = 1; o.Seed <= within; o.Seed++ {
				o.Dir = t.TempDir()
				if _, err := Run(o); err != nil {
					t.Logf("found with seed %d: %.300v", o.Seed, err)
					if by := atOnce[name]; !strings.Contains(err.Error(), by) {
						t.Errorf("not found by: %s", by)
					}
					return
				}
			}
			t.Errorf("not found within %d seeds", within)
		})
	}
}
