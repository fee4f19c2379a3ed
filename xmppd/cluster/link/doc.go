// Package link connects the servers of a cluster. Between each two servers there are two TLS
// streams, one each way: a server dials its peer, proves who it is by a certificate of the cluster's
// authority, and from then on only it sends frames on that stream; what comes back on it are
// acknowledgements. Both streams live and end together: a pair.
//
// What the users of a Mesh can rely on, for each peer:
//   - Up comes before anything from the peer is received and before Send takes anything for it; Down
//     comes when nothing more of that pair is going to be received. The two alternate.
//   - Frames of one channel arrive in the order of Send, unless the pair breaks.
//   - Send never waits. All that gathers while a write is under way goes out in the next one.
//   - A peer that says nothing for Config.Silence is cut off, whether it is dead, frozen, or behind a
//     network that has failed. A server that was frozen itself takes nothing from before: its peers
//     have given that up.
//   - What a channel with Undelivered was given, and the peer has not acknowledged, comes back, each
//     frame once: at once when it was never written; when it was, as soon as the peer has told how far it
//     came (it does when the two meet again), or marked as doubtful when that can't be known: the peer's
//     process is another one by now, or has stayed away for Config.Doubt.
//
// An acknowledgement says that the peer has the frame and is going to handle it. It is sent before
// that is done, so the frame is handled once unless the peer's process dies.
//
// Many meshes can live in one process.
package link
