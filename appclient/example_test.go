package appclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
)

// Read, change, write if nobody else did meanwhile.
func ExampleRoot_CompareAndSwap() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := appclient.Dial(ctx, appclient.Config{JID: "app@example.org", Password: "secret"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // never fails

	counter := c.Root("counter")
	for {
		var version uint64 // 0: not there yet
		n := 0
		o, err := counter.Get(ctx, "")
		switch {
		case err == nil:
			version = o.Version
			fmt.Sscan(string(o.Value), &n) //nolint:errcheck // 0 if it is no number
		case !errors.Is(err, appclient.ErrNotFound):
			log.Fatal(err)
		}
		_, err = counter.CompareAndSwap(ctx, "", version, fmt.Append(nil, n+1))
		if err == nil {
			return
		}
		if !errors.Is(err, appclient.ErrConflict) { // ErrUnknownOutcome: read before trying again
			log.Fatal(err)
		}
	}
}

// Write several objects of one root, all or none.
func ExampleRoot_Batch() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := appclient.Dial(ctx, appclient.Config{JID: "app@example.org", Password: "secret"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // never fails

	_, err = c.Root("order/7").Batch(ctx,
		appclient.Put("", []byte("paid"), appclient.WithRefs(appclient.Ref{Root: "customer/3"})),
		appclient.Put("line/1", []byte("two apples"), appclient.IfAbsent()),
		appclient.Delete("draft"),
	)
	if err != nil {
		log.Fatal(err)
	}
	for e, err := range c.Root("order/7").List(ctx, appclient.ListOptions{Prefix: "line/"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Path, e.Size)
	}
}
