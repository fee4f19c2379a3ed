package demo

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// plainEvery is the pause between two lines of progress where nothing can move.
const plainEvery = 2 * time.Second

// progress shows how far a step is, with rate and time left: a moving bar on a
// terminal, else a line now and then. Safe for concurrent use.
type progress struct {
	out   io.Writer
	what  string
	total int64 // bytes
	bar   *progressbar.ProgressBar

	mu      sync.Mutex
	start   time.Time
	shown   time.Time
	bytes   int64
	objects int
}

func newProgress(out io.Writer, terminal bool, what string, total int64) *progress {
	now := time.Now()
	p := &progress{out: out, what: what, total: total, start: now, shown: now}
	if terminal {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(out),
			progressbar.OptionSetDescription("  "+what),
			progressbar.OptionShowBytes(true),
			progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true),
		)
		p.bar.StartWithoutRender() // else its first rate is over no time at all
	}
	return p
}

// add tells that objects with so many bytes in all are done.
func (p *progress) add(objects int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.objects += objects
	p.bytes += bytes
	if p.bar != nil {
		_ = p.bar.Add64(bytes) // only drawing can fail
		return
	}
	if now := time.Now(); now.Sub(p.shown) >= plainEvery {
		p.shown = now
		p.line(now)
	}
}

// finish shows the end of the step and returns how long it took.
func (p *progress) finish() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Finish() // only drawing can fail
		fmt.Fprintln(p.out)
	} else {
		p.line(time.Now())
	}
	return time.Since(p.start)
}

func (p *progress) line(now time.Time) {
	elapsed := now.Sub(p.start)
	rate := float64(p.bytes) / max(elapsed.Seconds(), 1e-9)
	left := time.Duration(float64(p.total-p.bytes) / max(rate, 1) * float64(time.Second))
	fmt.Fprintf(p.out, "  %s: %3d%%, %d objects, %.1f of %.1f MiB, %.1f MiB/s, %s left\n", p.what,
		p.bytes*100/max(p.total, 1), p.objects, mib(p.bytes), mib(p.total), rate/(1<<20), left.Round(time.Second))
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
