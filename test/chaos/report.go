package chaos

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/test/powerfs"
)

// Report is what a run has seen.
type Report struct {
	Seed       uint64
	Duration   time.Duration
	Servers    int
	Nodes      int
	Notes      []string // what is missing on this machine
	Operations int
	Unknown    int            // writes whose outcome was told as unknown
	Refused    int            // operations that surely had no effect
	Refusals   map[string]int // by reason
	Faults     map[string]int
	Gap        time.Duration // longest between two acknowledgements of one writer, or behind its last
	GapAt      time.Duration // when it began
	Disks      powerfs.Stats // of all disks together
	Strange    map[string]int
	Verdict    Verdict
	Dir        string
	Repeat     string
}

// Good says whether nothing was lost, doubled or wrong.
func (r *Report) Good() bool {
	return r.Verdict.Lost == 0 && r.Verdict.Doubled == 0 && r.Verdict.Wrong == 0 && len(r.Strange) == 0
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) {
	line := func(name string, format string, args ...any) {
		fmt.Fprintf(w, "%-22s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("seed", "%d", r.Seed)
	line("nodes", "%d on %d XMPP servers for %s", r.Nodes, r.Servers, r.Duration)
	for _, n := range r.Notes {
		line("", "%s", n)
	}
	line("operations", "%d", r.Operations)
	line("unknown outcomes", "%d", r.Unknown)
	line("refused", "%d", r.Refused)
	for _, k := range slices.Sorted(maps.Keys(r.Refusals)) {
		line("", "%d times: %s", r.Refusals[k], k)
	}
	var faults []string
	for _, k := range slices.Sorted(maps.Keys(r.Faults)) {
		faults = append(faults, fmt.Sprintf("%s %d", k, r.Faults[k]))
	}
	line("faults", "%s", strings.Join(faults, ", "))
	line("power cuts", "%d; %d KiB unsynced lost, %d KiB kept, %d changes of directories lost", r.Disks.Cuts, r.Disks.Lost>>10, r.Disks.Survived>>10, r.Disks.Forgotten)
	line("longest gap", "%s, %s after the start", r.Gap.Round(time.Millisecond), r.GapAt.Round(time.Millisecond))
	line("histories", "%d decided, %d undecided", r.Verdict.Decided, r.Verdict.Undecided)
	line("lost", "%d", r.Verdict.Lost)
	line("doubled", "%d", r.Verdict.Doubled)
	line("wrong", "%d", r.Verdict.Wrong)
	for _, c := range r.Verdict.Complaints {
		line("", "%s", c)
	}
	for _, e := range slices.Sorted(maps.Keys(r.Strange)) {
		line("unexpected error", "%d times: %s", r.Strange[e], e)
	}
	if !r.Good() {
		line("data and logs", "%s", r.Dir)
		line("once more", "%s", r.Repeat)
	}
}
