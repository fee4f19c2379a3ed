// Package cluster makes several servers one: it finds the others (memberlist's gossip, encrypted with
// a shared key), says who is in, and connects each two of them (package link).
//
// Two watchers look after the servers, and each decides about its own matter. Gossip decides who is a
// member: whom to connect to, and who has a share of the directory. It asks third parties before it
// takes a member for dead, so one broken cable changes nothing. The links decide what can be sent
// where: a server that doesn't answer on its link is cut off there, whatever others think of it.
//
// A server has a name, which its certificate bears and which stays, and an incarnation, which is
// random and new with each start: what is known of an older incarnation is void.
//
// One port carries all: gossip by UDP and TCP, and links by TCP, told apart by the first byte.
package cluster
