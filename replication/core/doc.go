// Package core is the replication engine as a pure step: it is single-threaded
// and has neither clock nor disk nor network. Inputs are ticks, batches of
// peers, proposals, reads and reports of finished I/O; Advance hands out a
// Round: one WAL batch for all groups, batches for peers, entries to apply,
// snapshots to make or restore, reads to serve, answers to give.
//
// The caller's duties, in order, for each Round:
//
//  0. Publish Round.Standings, before anything else of the Round is seen anywhere.
//  1. Send every batch of Round.Sends. They may be lost, doubled or reordered.
//  2. Append Round.WAL, if not nil, durably, then call WALDone. There is at most
//     one unfinished WAL batch; what comes meanwhile gathers for the next.
//  3. Run Round.Tasks (apply and restore) for each group in the order given, then
//     report each by Applied or Restored. Groups are independent of each other.
//  4. Take the pictures of Round.Pictures, make the frames of Round.Frames and
//     stage those of Round.Stages, and report each by PictureDone, FrameDone and
//     Staged. Close the pictures of Round.Closed.
//  5. Serve Round.Reads from the state as applied now or later.
//  6. Give Round.Answers.
//  7. Delete the state of each replica of Round.Removals, durably, then call Removed.
//
// Package replication is the driver for real disks and clocks; the simulator in
// test/sim drives the same code under a seed. Given the same inputs, and the
// same crypto/rand.Reader (raft draws its election time-outs from it), a Core
// does the same.
package core
