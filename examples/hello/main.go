// Command hello stores an object and reads it back. The cluster is described by
// the file cluster.json in the directory of `ringctl dev up --dir DIR`: -dev FILE
// or ROSTERDB_DEV.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
)

func main() {
	log.SetFlags(0)
	dev := flag.String("dev", os.Getenv("ROSTERDB_DEV"), "cluster.json of a development cluster")
	flag.Parse()
	if *dev == "" {
		log.Fatal(`hello: no cluster is named. Start one and name it:
    go run ./cli/ringctl dev up --dir ./dev
    export ROSTERDB_DEV=$PWD/dev/cluster.json`)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := hello(ctx, *dev); err != nil {
		log.Fatal("hello: ", err)
	}
}

func hello(ctx context.Context, dev string) error {
	cfg, err := appclient.FromDev(dev)
	if err != nil {
		return err
	}
	client, err := appclient.Dial(ctx, cfg)
	if err != nil {
		return err
	}
	defer client.Close()

	greeting := client.Root("greeting")
	version, err := greeting.Put(ctx, "en", []byte("Hello, roster!"))
	if err != nil {
		return err
	}
	o, err := greeting.Get(ctx, "en")
	if err != nil {
		return err
	}
	where := client.Where("greeting")
	fmt.Printf("%s\n", o.Value)
	fmt.Printf("on the disks of a majority of %d data nodes, led by %s; change %d of this root\n",
		len(where.Replicas), where.Leader, version)
	return nil
}
