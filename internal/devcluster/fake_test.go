package devcluster

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary play the processes that a cluster starts: an
// XMPP server that only answers its health check, and a data node that fails, or
// never gets anywhere if its name is "hangs".
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "xmppd" && os.Args[2] == "user" {
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == "xmppd" {
		fakeServer(os.Args)
	}
	if len(os.Args) > 1 && os.Args[1] == "datanode" {
		fakeNode(os.Args)
		fmt.Println("this data node is out of order")
		os.Exit(3)
	}
	goleak.VerifyTestMain(m)
}

// fakeNode makes its data directory, and returns unless it is to hang.
func fakeNode(args []string) {
	dir := args[slices.Index(args, "--dir")+1]
	if filepath.Base(dir) != "hangs" {
		return
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	<-stop
	os.Exit(0)
}

func fakeServer(args []string) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	l, err := net.Listen("tcp", args[slices.Index(args, "--listen-http")+1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) // until the process ends
	}()
	<-stop
	os.Exit(0)
}
