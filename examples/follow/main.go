// Command follow prints what changes in the store, and remembers in a file how far
// it has come: stop it, change something, start it again, and nothing is missing
// and nothing comes twice. The cluster is described by the file cluster.json in the directory of
// `ringctl dev up --dir DIR`: -dev FILE or ROSTERDB_DEV.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
)

func main() {
	log.SetFlags(0)
	dev := flag.String("dev", os.Getenv("ROSTERDB_DEV"), "cluster.json of a development cluster")
	prefix := flag.String("prefix", "", "of the roots to follow")
	file := flag.String("token", "", "file that remembers how far it has come; empty: from now on")
	count := flag.Int("count", 0, "events after which to stop; 0: none")
	flag.Parse()
	if *dev == "" {
		log.Fatal(`follow: no cluster is named. Start one and name it:
    go run ./cli/ringctl dev up --dir ./dev
    export ROSTERDB_DEV=$PWD/dev/cluster.json`)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cfg, err := appclient.FromDev(*dev)
	if err == nil {
		err = follow(ctx, cfg, *prefix, *file, *count)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal("follow: ", err)
	}
}

func follow(ctx context.Context, cfg appclient.Config, prefix, file string, count int) error {
	dial, cancel := context.WithTimeout(ctx, 20*time.Second)
	client, err := appclient.Dial(dial, cfg)
	cancel()
	if err != nil {
		return err
	}
	defer client.Close()

	var token []byte
	if file != "" {
		if token, err = os.ReadFile(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	w := client.Watch(appclient.WatchOptions{Prefix: prefix, From: appclient.Token(token)})
	if err := w.Begin(ctx); err != nil {
		return err
	}
	if err := save(w, file); err != nil {
		return err
	}
	if len(token) == 0 {
		log.Print("follow: what changes from now on")
	} else {
		log.Print("follow: what has changed since ", file, " was written, and from now on")
	}
	n := 0
	for ev, err := range w.Events(ctx) {
		if errors.Is(err, appclient.ErrCompacted) {
			return fmt.Errorf("%w; remove %s to follow from now on", err, file)
		}
		if err != nil {
			return err
		}
		fmt.Printf("%s %s %q revision %d, %d bytes\n", ev.Kind, ev.Root, ev.Path, ev.Revision, len(ev.Value))
		if err := save(w, file); err != nil {
			return err
		}
		if n++; n == count {
			return nil
		}
	}
	return nil
}

// save replaces the file, whole or not at all.
func save(w *appclient.Watch, file string) error {
	if file == "" {
		return nil
	}
	if err := os.WriteFile(file+".new", []byte(w.Token()), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
