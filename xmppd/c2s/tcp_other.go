//go:build !linux

package c2s

import "net"

// setUserTimeout leaves a vanished peer to TCP's own time-outs where there is no such option.
func setUserTimeout(net.Conn) {}
