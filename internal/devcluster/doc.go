// Package devcluster runs a whole RosterDB cluster on this machine: xmppd, one or
// several, and some data nodes as real processes on loopback, with a certificate
// authority, accounts and passwords of their own. `ringctl dev`, the demo, the
// tests and the benchmarks stand on it.
//
// The processes are the given binary (by default the running executable) with
// ringctl's subcommands `xmppd` and `datanode`, so nothing else has to be
// installed or built (ADR 0006). All that a cluster writes lies in one directory:
//
//	DIR/cluster.json   how to reach it (Info), mode 0600: it holds passwords
//	DIR/pids           process ids, one a line, while it runs
//	DIR/ca.pem         the certificate authority to trust
//	DIR/tls/           the servers' certificates and keys
//	DIR/conf/          the configurations of servers that are several
//	DIR/secrets/       passwords, one file an account, mode 0600
//	DIR/args/          the arguments each process was started with
//	DIR/logs/          one file a process
//	DIR/x1, DIR/dn1…   data directories
//
// Several clusters live side by side, in one process or in several.
package devcluster
