// Package websocket carries client-to-server streams in WebSocket messages (RFC 7395): one element
// a message, <open/> and <close/> where TCP has the tags of the stream. Negotiation and routing are
// those of package c2s.
//
// The protocol's frames (RFC 6455) are read and written here on the upgraded connection, so that a
// session costs what one on TCP does: it holds no buffer while nothing comes, writes don't wait, and
// all that one wake-up has for it goes out in one system call. One goroutine reads; pings tell it
// whether a silent peer is still there.
package websocket
