// Package sim runs the replication engine in a simulated world: virtual time, a
// network that loses, doubles, delays, reorders and cuts, disks that lose or
// tear what was not synced when a node crashes, clocks that are wrong, disks
// that are wiped, records in state files that change silently, which reads, applying, snapshots
// and scrubs meet and repairs mend, with crashes at each step. Clients write, read, compare and swap, and retry as real ones
// do. An operator lets nodes join, leave and take the place of lost ones, gives them other
// weights and zones, raises the number of replicas, creates and drops indexes, and
// pauses, resumes, throttles and cancels such changes under way. All of it follows from one
// seed.
//
// While it runs, every step is checked against what the engine promises (see
// check.go and conf.go); afterwards every change of the ring must end, the replicas
// must be where the ring has them and level, with the indexes that it names and what belongs
// into them, and the clients' history must be linearizable.
//
// A failure prints its seed. To run it again, with a log of what happened:
//
//	make sim SEED=N SEEDS=1 FLAGS=-v
//
// and to run thousands, on all cores: make sim SEEDS=10000.
//
// A green run proves little by itself: TestFaults seeds the classic mistakes of
// such engines, one at a time, and requires that the checks find each.
package sim
