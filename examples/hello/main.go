// Command hello stores an object and reads it back. The cluster is described by
// the file that `ringctl dev up -o json` prints: -dev FILE or ROSTERDB_DEV.
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
	dev := flag.String("dev", os.Getenv("ROSTERDB_DEV"), "JSON file of a development cluster")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cfg, err := appclient.FromDev(*dev)
	check(err)
	c, err := appclient.Dial(ctx, cfg)
	check(err)
	defer c.Close()

	greeting := c.Root("greeting")
	version, err := greeting.Put(ctx, "en", []byte("Hello, roster!"))
	check(err)
	o, err := greeting.Get(ctx, "en")
	check(err)
	fmt.Printf("%s (version %d of %d, led by %s)\n", o.Value, o.Version, version, c.Where("greeting").Leader)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
