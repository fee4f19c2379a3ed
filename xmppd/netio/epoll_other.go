//go:build !linux

package netio

// NewEventLoop needs Linux; elsewhere each connection has its goroutine.
func NewEventLoop(int) (Strategy, error) { return NewGoroutines(), nil }
