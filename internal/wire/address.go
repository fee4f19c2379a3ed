package wire

import "strings"

// The resources that a data node binds: the first is in the JID by which the ring
// knows it, the second that of its stream to another server.
const (
	NodeResource   = "store"
	SecondResource = "store-2"
)

// SecondJID returns a data node's second address.
func SecondJID(node string) string { return node + "-2" }

// NodeJID returns the JID by which the ring knows the data node that has an address;
// of anybody else's, that address.
func NodeJID(address string) string {
	if node, second := strings.CutSuffix(address, "-2"); second && strings.HasSuffix(node, "/"+NodeResource) {
		return node
	}
	return address
}
