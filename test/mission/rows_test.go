package mission

import "testing"

// row is one capability of RosterDB. check shows it from outside, over real
// sockets; a row without one is not promised yet and is listed as todo.
type row struct {
	id, title string
	check     func(*testing.T)
}

// rows lists every capability, in order: S the sharded object store, X the XMPP
// server, K the cluster of servers, F front doors, O operation, L load.
func rows() []row {
	return []row{
		{"S1", "data nodes and applications are ordinary XMPP clients with one JID each and no inbound port", checkOrdinaryClients},
		{"S2", "nodes join and leave at run time; presence announces health", checkMembership},
		{"S3", "a root's tree lives in one partition; operations on several of its objects are atomic", checkAtomicBatches},
		{"S4", "weak references between roots, resolved lazily; dangling ones reported", checkReferences},
		{"S5", "a write is one message to the owner, acknowledged by one receipt with the result; retried on time-out", checkReceipts},
		{"S6", "exactly once: the same operation sent five times, also across a fail-over, applies once", checkExactlyOnce},
		{"S7", "an unknown outcome is told apart, and can be asked after", checkUnknownOutcomes},
		{"S8", "linearizable reads, writes and compare-and-swap; bounded-stale reads from any replica on request", checkConsistency},
		{"S9", "writes are durable on a majority of three replicas before the acknowledgement; anybody can compute where they are", checkReplication},
		{"S10", "reads and queries scale with nodes; scans in order; secondary index", checkScansAndQueries},
		{"S11", "watch: a resumable, gap-free feed of changes by revision", checkWatches},
		{"S12", "TTL, create-only, conditional delete, batches over several owners", checkWrites},
		{"S13", "grow and shrink under load: plan, commit, throttle, resume, progress", checkElasticity},
		{"S14", "a lost disk is replaced and refilled; silent flips of bytes are found and mended", checkRepair},
		{"S15", "a hot object is handled: replica reads, merged increments, hot list", checkHotObject},
		{"S16", "the partitioning is chosen by experiment on one's own keys", checkSimulation},
		{"S17", "backup and restore of a consistent snapshot; export and import", checkBackup},
		{"S18", "runs over an unchanged ejabberd or Prosody as well", nil},
		{"S19", "a data node on a federated domain works", nil},
		{"S20", "the protocol is specified; a short Python client stores and reads an object", nil},

		{"X1", "RFC 6120, 6121, 7590, 7622 in full, direct TLS, SCRAM with channel binding, EXTERNAL", checkStreamsAndLogin},
		{"X2", "own authentication source: internal, HTTP, JWT, SQL", nil},
		{"X3", "roster with versioning and pushes, subscriptions, probes, pluggable source, shared groups", checkRosters},
		{"X4", "blocking (XEP-0191)", checkBlocking},
		{"X5", "offline storage, delivered exactly once", checkOffline},
		{"X6", "archive (XEP-0313)", checkArchive},
		{"X7", "presence policies: limits, directed presence, invisibility", checkPresencePolicies},
		{"X8", "discovery, caps, ping, version, time, carbons, stream management, client state, private XML, vCard, registration, commands (rooms and PubSub: not due yet)", checkExtensions},
		{"X9", "limits everywhere, each with a test and a metric", checkLimits},
		{"X10", "hostile input costs the sender only, and gets the stream error of RFC 6120", checkHostileInput},
		{"X11", "each extension is one package, and can be switched off", checkModules},
		{"X12", "a hook chain sees each stanza exactly once", checkHooks},
		{"X13", "a signed HTTP POST of a portal becomes a message", checkPortal},
		{"X14", "federation with TLS, dialback, one link a remote domain", nil},
		{"X15", "external components (XEP-0114)", checkComponents},

		{"K1", "every server answers fully for the domain", checkAnyServer},
		{"K2", "a server's death disconnects only its own clients", checkServerDeath},
		{"K3", "presence, pushes, copies and kept messages across servers, each exactly once", checkExactlyOnceAcross},
		{"K4", "a server's memory grows with its own sessions only", checkMemory},
		{"K5", "route redirect: the shortest way after the first stanza", checkRedirects},
		{"K6", "servers discover and join each other", checkJoining},
		{"K7", "a partition of the network heals by itself", checkPartition},
		{"K8", "a stream resumes on another server", checkResumptionElsewhere},
		{"K9", "server-side state is embedded, and replicated over the servers of a cluster (databases of other makers: not due yet)", checkState},
		{"K10", "zones: an exit in one's own zone is preferred", checkZones},
		{"K11", "rolling upgrade with no stanza lost", checkRollingUpgrade},

		{"F1", "a connection manager multiplexes client connections over few links", nil},
		{"F2", "its handshake proves a secret; envelopes carry connection ids, not JIDs", nil},
		{"F3", "it checks XML and answers what needs no core", nil},
		{"F4", "the link's wire format is negotiated at run time", nil},
		{"F5", "a core dies, the client's TCP connection survives", nil},
		{"F6", "redirection to a less loaded server", checkLoadSpread},
		{"F7", "the strategy of input and output is pluggable", checkStrategies},
		{"F8", "10,000 users a front door and more; doctor says what to mend", nil},
		{"F9", "BOSH (XEP-0124, 0206)", checkBOSH},
		{"F10", "WebSocket (RFC 7395), host-meta (XEP-0156)", checkWebSocket},
		{"F11", "works behind haproxy", nil},

		{"O1", "ringctl grows, shrinks, queries, verifies, repairs and backs up", nil},
		{"O2", "the same commands in any chat client (XEP-0050)", nil},
		{"O3", "the cluster is a roster; a room keeps the operations log", nil},
		{"O4", "live stanza inspector", nil},
		{"O5", "dashboard", nil},
		{"O6", "Prometheus, syslog, SNMP, OpenTelemetry", nil},
		{"O7", "demo with sample data on real sockets, and a menu: kill, grow, partition", nil},
		{"O8", "packages: static binaries, systemd, container, Helm, completions, man pages", nil},

		{"L1", "own load generator: ringctl bench", nil},
		{"L2", "50,000 messages/s on one machine of 2 cores", nil},
		{"L3", "scaling from 1 to 4 servers better than 0.8", nil},
		{"L4", "durable writes and linearizable reads ahead of etcd and NATS in the same run", nil},
	}
}
