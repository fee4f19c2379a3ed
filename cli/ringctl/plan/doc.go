// Package plan holds plans of changes of the ring, as ringctl writes them to a
// file for people to read and to commit: who joins and leaves, what moves, how
// much that is, and what is to be thought of before.
package plan
