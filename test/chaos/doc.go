// Package chaos lets a cluster of real processes suffer, and judges it.
//
// A run starts XMPP servers of one domain and data nodes, each in a network
// namespace of its own, and each data node behind proxies of its own and on a disk of its own that
// forgets at a power cut what was not synced (test/powerfs). A seed decides
// which faults meet whom and when, and which data nodes join and leave; data nodes and servers suffer at the same time. Meanwhile
// clients write, read, compare and swap, delete on a condition, batch, transact, count, watch, scan and query through
// appclient, and backups are made.
// In the end it says whether anything that was acknowledged is lost, anything
// happened twice, or the answers have no order that a single-threaded store
// would give (test/linearizability).
//
// Without root there are no namespaces and no such disks: the processes run on
// loopback, and of the faults those remain that need neither.
//
//	stage     the processes with their links and disks
//	servers   the XMPP servers with their networks
//	faults    what happens to data nodes and links
//	downfalls what happens to servers
//	changes   data nodes that join, leave, lose their disks and are replaced, by ringctl
//	betray    the moments that planted mistakes need to show
//	work      the clients, each kind with its ledger
//	report    what came of it
//	calm      a cluster that is left alone, for soak and failover
package chaos
