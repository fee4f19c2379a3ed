// Package state is the replicated state machine of a partition and the bbolt
// file that keeps it.
package state
