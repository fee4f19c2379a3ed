// Package xmlstream reads XML streams as they come on a connection (RFC 6120 section 4): headers,
// then whole elements, each under the limits and rules of a stanza.Scanner. Streams of clients,
// while they are negotiated, and of components share it.
package xmlstream
