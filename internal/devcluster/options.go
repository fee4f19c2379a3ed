package devcluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Bounds of a development cluster.
const (
	MaxNodes   = 32 // data nodes
	MaxServers = 9
	// startAttempts is how often chosen ports may turn out to be taken meanwhile.
	startAttempts = 3
)

// Options say what cluster to start. The zero value of every field but Dir is a
// sensible default.
type Options struct {
	Dir    string // where everything is kept; made if absent
	Binary string // executable carrying `xmppd` and `datanode`; default os.Executable()

	Domain            string // default "localhost"
	Servers           int    // XMPP servers of the domain; default 1, or as many as a cluster has that is started again
	Nodes             int    // data nodes; default 3, or as many as a cluster has that is started again
	Partitions        int    // default ring.DefaultPartitions
	Replicas          int    // default ring.DefaultReplicas, or fewer when there are fewer nodes
	BasePort          int    // first of the ports used; 0: free ones are chosen
	InsecurePlaintext bool   // logins without TLS; for measurements
	Metrics           bool   // of each data node, on a port of its own
	OpenRegistration  bool   // in-band registration (XEP-0077)
	ServerConfig      string // TOML file with further settings of the XMPP server; may be empty

	nodesGiven, serversGiven bool // Nodes and Servers were no defaults

	// DieWithParent ties the processes to this one: when it dies, however it
	// dies, the kernel kills them (Linux; elsewhere only Close does).
	DieWithParent bool

	StartTimeout time.Duration // until healthy; default 60 s
	StopTimeout  time.Duration // from SIGTERM to SIGKILL, each process; default 5 s

	// Launch changes the command lines, the binary first, that processes are
	// started with: to put them into namespaces of their own, for example. The
	// process must keep its id and name a file of Dir. nil: as they are.
	Launch func(id string, argv []string) ([]string, error)

	// Progress is told each step of the start in words; may be nil.
	Progress func(step string)
}

// withDefaults fills in what is unset and says what cannot be.
func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("no directory for the cluster; name one with --dir DIR")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("directory %q: %w", o.Dir, err)
	}
	o.Dir = dir
	if o.Binary == "" {
		if o.Binary, err = os.Executable(); err != nil {
			return o, fmt.Errorf("find the running executable: %w", err)
		}
	}
	if o.ServerConfig != "" {
		if o.ServerConfig, err = filepath.Abs(o.ServerConfig); err != nil {
			return o, fmt.Errorf("server configuration %q: %w", o.ServerConfig, err)
		}
	}
	setDefault(&o.Domain, "localhost")
	o.nodesGiven, o.serversGiven = o.Nodes != 0, o.Servers != 0
	setDefault(&o.Servers, 1)
	setDefault(&o.Nodes, 3)
	setDefault(&o.StartTimeout, 60*time.Second)
	setDefault(&o.StopTimeout, 5*time.Second)
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	switch {
	case o.Servers < 1 || o.Servers > MaxServers:
		return o, fmt.Errorf("%d servers: choose 1 to %d", o.Servers, MaxServers)
	case o.Nodes < 1 || o.Nodes > MaxNodes:
		return o, fmt.Errorf("%d data nodes: choose 1 to %d", o.Nodes, MaxNodes)
	case o.Replicas < 0 || o.Replicas > o.Nodes:
		return o, fmt.Errorf("%d replicas on %d data nodes: each replica needs a node of its own", o.Replicas, o.Nodes)
	case o.BasePort != 0 && (o.BasePort < 1 || o.BasePort+o.ports() > 65536):
		return o, fmt.Errorf("base port %d: choose 1 to %d", o.BasePort, 65536-o.ports())
	}
	return o, nil
}

// ports is how many ports the cluster has in a row from BasePort on.
func (o *Options) ports() int {
	n := portsOf(o.Servers) * o.Servers
	if o.Metrics {
		n += o.Nodes
	}
	return n
}

func setDefault[T comparable](field *T, value T) {
	var unset T
	if *field == unset {
		*field = value
	}
}
