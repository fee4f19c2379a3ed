package router

import "github.com/rosterdb/rosterdb/xmppd/module"

// StreamError ends a stream (RFC 6120 section 4.9).
type StreamError = module.StreamError
