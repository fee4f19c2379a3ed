package command

import (
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin"
)

// TestScrubTelling: who is missing is told at the first look and once, how far it is
// not before scrubSilence is over, and many partitions with one reason in one line.
func TestScrubTelling(t *testing.T) {
	env, out, errs := testEnv()
	begun := time.Unix(1000, 0)
	tell := scrubTelling{env: env, out: formatJSON, told: make(map[string]bool), next: begun.Add(scrubSilence)}
	s := &admin.Scrub{Partitions: 9, Missing: []admin.Missing{{Node: "dn3", Why: "start dn3", Partitions: 7}}}
	missing := "7 of 9 partitions cannot be compared on dn3: start dn3\n"
	tell.look(s, begun)
	tell.look(s, begun.Add(scrubSilence-1))
	if errs.String() != missing || out.Len() > 0 {
		t.Fatalf("at first %q, %q", errs, out)
	}
	s.Compared = 2
	for p := range uint32(3) {
		s.Unfinished = append(s.Unfinished, admin.Unfinished{Partition: p, Why: "2 of 3 replicas are equal; start dn3"})
	}
	tell.look(s, begun.Add(scrubSilence))
	tell.look(s, begun.Add(scrubSilence+1))
	if want := missing + "5 of 9 partitions, 3 unfinished\n"; errs.String() != want || out.Len() > 0 {
		t.Fatalf("then %q, %q", errs, out)
	}
	printScrub(env, s)
	if got := out.String(); !strings.HasSuffix(got, "\n3 partitions: 2 of 3 replicas are equal; start dn3\n") || strings.Count(got, "dn3") != 1 {
		t.Errorf("at the end %q", got)
	}
}
