// Package simulate tries ways of placing keys on nodes: how even each is, and how
// many copies move when the number of nodes changes. It touches no cluster.
package simulate
