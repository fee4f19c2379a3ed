// Package notice writes log lines that others can cause as often as they like.
package notice

import (
	"log/slog"
	"maps"
	"sync"
	"time"
)

const (
	every = time.Minute
	kinds = 256 // that are remembered
)

// Log writes each line once a minute: lines are the same if their message is, and the
// value of their first attribute, if that is given as a string. More than 256 different ones a minute are not written.
// It is safe for concurrent use.
type Log struct {
	To *slog.Logger

	mu   sync.Mutex
	next map[kind]time.Time
}

type kind struct{ msg, what string }

// Warn writes a line, unless it was written within the last minute.
func (l *Log) Warn(msg string, args ...any) {
	k, now := kind{msg: msg}, time.Now()
	if len(args) > 1 {
		k.what, _ = args[1].(string)
	}
	l.mu.Lock()
	again := now.Before(l.next[k])
	if !again {
		again = !l.room(now)
	}
	if !again {
		l.next[k] = now.Add(every)
	}
	l.mu.Unlock()
	if !again {
		l.To.Warn(msg, args...)
	}
}

// room makes some for one more kind, by forgetting those of more than a minute ago. mu is held.
func (l *Log) room(now time.Time) bool {
	if l.next == nil {
		l.next = make(map[kind]time.Time)
	}
	if len(l.next) >= kinds {
		maps.DeleteFunc(l.next, func(_ kind, t time.Time) bool { return !now.Before(t) })
	}
	return len(l.next) < kinds
}
