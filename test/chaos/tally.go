package chaos

import "sync/atomic"

// tally counts what was added to something that only grows.
type tally struct{ applied, unknown atomic.Int64 }

func (t *tally) note(o outcome, n int64) {
	switch o {
	case applied:
		t.applied.Add(n)
	case unknown:
		t.unknown.Add(n)
	}
}

// judge compares it with what there is: at least what was acknowledged, and at
// most what may have been applied besides.
func (t *tally) judge(v *Verdict, what string, have int64) {
	least := t.applied.Load()
	most := least + t.unknown.Load()
	if have < least {
		v.complain(&v.Lost, int(least-have), "%s: %d were acknowledged, and it is %d", what, least, have)
	}
	if have > most {
		v.complain(&v.Doubled, int(have-most), "%s: %d at most were applied, and it is %d", what, most, have)
	}
}
