// Package procs fits the number of threads that run Go code to what a program
// does. Each time one of several finds work it wakes another to look for more;
// in a program that mostly waits for a disk and a socket, as a data node does, that
// costs a quarter of its CPU time and finds nothing.
package procs

import (
	"context"
	"math"
	"runtime"
	"time"
)

// How often Run looks, and how long a number must have been too large before it
// is made smaller.
const (
	every  = 250 * time.Millisecond
	linger = 20 // looks
)

// A goroutine that waits longer than tooLate for a thread is late; tooMany is the
// part of all from which on there are too few threads.
const (
	tooLate = time.Millisecond
	tooMany = 0.1
)

// Run sets GOMAXPROCS, from 1 to what it was, until ctx ends; then it is what it
// was. It does nothing where a process cannot ask for its own CPU time.
func Run(ctx context.Context) {
	most := runtime.GOMAXPROCS(0)
	used, ok := cpuTime()
	if !ok || most == 1 {
		return
	}
	defer runtime.GOMAXPROCS(most)
	f := fit{most: most, now: most}
	w := newWaits()
	at := time.Now()
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		total, _ := cpuTime()
		n := f.look((total-used).Seconds()/time.Since(at).Seconds(), w.late())
		used, at = total, time.Now()
		if n != f.now {
			f.now = n
			runtime.GOMAXPROCS(n) // stops the world for some microseconds
		}
	}
}

// fit decides the number.
type fit struct {
	most, now int
	calm      int // looks in a row at which fewer would have done
}

// look takes the cores used since the last look, and the part of all wake-ups that
// were late. There is always room for half as much again, and one more where too
// many are late; fewer only after a while.
func (f *fit) look(cores, late float64) int {
	want := max(int(math.Ceil(cores*1.5)), 1)
	if late > tooMany {
		want = max(want, f.now+1)
	}
	want = min(want, f.most)
	if want >= f.now {
		f.calm = 0
		return want
	}
	if f.calm++; f.calm < linger {
		return f.now
	}
	f.calm = 0
	return want
}
