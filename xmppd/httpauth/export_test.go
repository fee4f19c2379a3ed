package httpauth

import "time"

// Rested makes the source's rest be over.
func (s *Source) Rested() {
	s.breaker.mu.Lock()
	s.breaker.until = time.Time{}
	s.breaker.mu.Unlock()
}
