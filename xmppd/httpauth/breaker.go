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

func (b *breaker) result(ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
	if ok {
		b.failed = 0
		return
	}
	b.failed++
	b.until = b.now().Add(rest)
}

// abandon is for a question that has told nothing about the source.
func (b *breaker) abandon() {
	b.mu.Lock()
	b.trying = false
	b.mu.Unlock()
}
