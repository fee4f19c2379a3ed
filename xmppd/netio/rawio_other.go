//go:build !linux

package netio

import "net"

// AwaitInput returns at once where there is no cheap way to wait.
func AwaitInput(net.Conn) error { return nil }
