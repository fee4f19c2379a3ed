package httpauth

import (
	"sync"
	"time"
)

const (
	failures = 5               // in a row, after which nobody is asked
	rest     = 5 * time.Second // until one question tries again
)

// breaker keeps questions from a source that doesn't answer. After the rest one question at a time
// tries it.
type breaker struct {
	now func() time.Time

	mu     sync.Mutex
	failed int
	until  time.Time // when the source may be tried again, once failed has reached the limit
	trying bool
}

// allow reports whether the source may be asked. Each yes is followed by result or abandon.
func (b *breaker) allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed < failures {
		return true
	}
	if b.trying || b.now().Before(b.until) {
		return false
	}
	b.trying = true
	return true
}

// change is what an answer, or the lack of one, has made of the breaker.
type change int

const (
	same change = iota
	gaveUp
	cameBack
)

func (b *breaker) result(ok bool) change {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
	if ok {
		back := b.failed >= failures
		b.failed = 0
		if back {
			return cameBack
		}
		return same
	}
	b.failed++
	b.until = b.now().Add(rest)
	if b.failed == failures {
		return gaveUp
	}
	return same
}

// open reports whether the source is given up for now.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed >= failures
}

// abandon is for a question that has told nothing about the source.
func (b *breaker) abandon() {
	b.mu.Lock()
	b.trying = false
	b.mu.Unlock()
}
