package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
)

// task is a kind of clients, and the ledger of what they were told.
type task interface {
	// clients is how many of them run at once.
	clients() int
	// run does operations until ctx ends. Operations under way are brought to
	// their end.
	run(ctx context.Context, c *appclient.Client, id int)
	// judge compares the ledger with what is there, when all is well again.
	judge(ctx context.Context, c *appclient.Client, v *Verdict) error
}

// Verdict is what came of a task. Lost counts what was acknowledged and is not
// there, Doubled what happened more than once, Wrong everything else that must
// not be; Complaints describe the first of them.
type Verdict struct {
	Lost, Doubled, Wrong int
	Decided, Undecided   int // histories that were judged, and those for which the time did not suffice
	Complaints           []string
}

func (v *Verdict) complain(count *int, n int, format string, args ...any) {
	*count += n
	if len(v.Complaints) < 20 {
		v.Complaints = append(v.Complaints, fmt.Sprintf(format, args...))
	}
}

// tryFor is how long a client tries an operation.
const tryFor = 15 * time.Second

// outcome is what a client knows of a write.
type outcome int

const (
	applied outcome = iota
	conflict
	unknown
	refused // surely not applied
)

// meter counts operations and watches how long writers were held up.
type meter struct {
	pace time.Duration

	mu         sync.Mutex
	began      time.Time
	operations int
	count      map[outcome]int
	gap        time.Duration  // the longest between two acknowledgements of one writer
	gapAt      time.Duration  // when it began, since the beginning
	refusals   map[string]int // by their reason, without what is the case's own
	strange    map[string]int
}

func newMeter(pace time.Duration) *meter {
	return &meter{pace: pace, began: time.Now(), count: make(map[outcome]int), refusals: make(map[string]int), strange: make(map[string]int)}
}

// do runs one operation with its own time, and says what came of it.
func (m *meter) do(ctx context.Context, f func(ctx context.Context) error) outcome {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tryFor)
	defer cancel()
	err := f(ctx)
	time.Sleep(max(0, m.pace)) // the client's pace
	o := applied
	switch {
	case err == nil, errors.Is(err, appclient.ErrNotFound):
	case errors.Is(err, appclient.ErrConflict):
		o = conflict
	case errors.Is(err, appclient.ErrUnknownOutcome):
		o = unknown
	default:
		o = refused
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.operations++
	m.count[o]++
	if o == refused {
		m.refusals[reason(err)]++
	}
	if o == refused && !errors.Is(err, appclient.ErrUnavailable) && !errors.Is(err, appclient.ErrOverloaded) {
		m.strange[err.Error()]++
	}
	return o
}

// reason is an error's text behind the names of roots and objects, and shortened.
func reason(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, `": `); i >= 0 {
		text = text[i+3:]
	}
	const most = 140
	return text[:min(most, len(text))]
}

// writer watches one writer's acknowledgements.
type writer struct {
	meter *meter
	last  time.Time
}

func (m *meter) writer() *writer { return &writer{meter: m, last: time.Now()} }

func (w *writer) acknowledged() { w.gapUntil(time.Now()) }

// ended ends the gap that is open: who waits in vain to the end has been held up, too.
func (w *writer) ended() { w.gapUntil(time.Now()) }

func (w *writer) gapUntil(now time.Time) {
	w.meter.mu.Lock()
	defer w.meter.mu.Unlock()
	if d := now.Sub(w.last); d > w.meter.gap {
		w.meter.gap, w.meter.gapAt = d, w.last.Sub(w.meter.began)
	}
	w.last = now
}
