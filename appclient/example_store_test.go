package appclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strconv"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
)

// example dials a cluster in this process, as tests of applications do.
func example() (ctx context.Context, c *appclient.Client, end func()) {
	cluster, err := appclienttest.Start(appclienttest.Options{
		Indexes: []appclienttest.Index{{Name: "age", Prefix: "user/", Field: "age"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	c, err = appclient.Dial(ctx, cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	return ctx, c, func() {
		c.Close() //nolint:errcheck // never fails
		cancel()
		cluster.Close()
	}
}

// Count something that many count.
func ExampleRoot_Increment() {
	ctx, c, end := example()
	defer end()
	for range 3 {
		n, err := c.Root("page/home").Increment(ctx, "hits", 1)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(n)
	}
	// Output:
	// 1
	// 2
	// 3
}

// Move an amount from one object to another, whoever else does the same.
func ExampleRoot_Update() {
	ctx, c, end := example()
	defer end()
	bank := c.Root("bank")
	if _, err := bank.Batch(ctx, appclient.Put("ann", []byte("10")), appclient.Put("bob", []byte("0"))); err != nil {
		log.Fatal(err)
	}
	err := bank.Update(ctx, func(tx *appclient.Tx) error {
		for who, by := range map[string]int{"ann": -3, "bob": 3} {
			o, err := tx.Get(who)
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(string(o.Value))
			if err != nil {
				return err
			}
			if n+by < 0 {
				return errors.New("not enough")
			}
			tx.Put(who, fmt.Append(nil, n+by))
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	for o, err := range bank.Objects(ctx, appclient.ListOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s %s\n", o.Path, o.Value)
	}
	// Output:
	// ann 7
	// bob 3
}

// Take a lock that falls open by itself.
func ExampleWithTTL() {
	ctx, c, end := example()
	defer end()
	_, err := c.Root("job/7").Create(ctx, "lock", []byte("worker 1"), appclient.WithTTL(30*time.Second))
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Root("job/7").Create(ctx, "lock", []byte("worker 2"), appclient.WithTTL(30*time.Second))
	fmt.Println(errors.Is(err, appclient.ErrConflict))
	// Output: true
}

// Write to many roots at a time, each for itself.
func ExampleClient_Batch() {
	ctx, c, end := example()
	defer end()
	outcomes := c.Batch(ctx,
		appclient.RootBatch{Root: "user/1", Mutations: []appclient.Mutation{appclient.Put("", []byte("Ann"))}},
		appclient.RootBatch{Root: "user/2", Mutations: []appclient.Mutation{appclient.Put("", []byte("Bob"), appclient.IfPresent())}},
	)
	for _, o := range outcomes {
		fmt.Println(o.Err == nil, errors.Is(o.Err, appclient.ErrConflict))
	}
	// Output:
	// true false
	// false true
}

// Write under an id that was recorded before, so that a crash in the middle
// leaves a question that can be answered.
func ExampleRoot_WithOp() {
	ctx, c, end := example()
	defer end()
	order := c.Root("order/7")
	id, err := order.NewOp(ctx)
	if err != nil {
		log.Fatal(err)
	}
	recorded := id.String() // in the application's own log, say

	if _, err := order.WithOp(id).Put(ctx, "paid", []byte("yes")); err != nil {
		log.Fatal(err)
	}
	// Here the application crashes, and starts again.
	id, err = appclient.ParseOpID(recorded)
	if err != nil {
		log.Fatal(err)
	}
	outcome, err := c.Status(ctx, id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(outcome.State, outcome.Result.Revision)
	c.Release(id)
	// Output: applied 1
}

// Ask what became of a write that ended with ErrUnknownOutcome.
func ExampleClient_Status() {
	ctx, c, end := example()
	defer end()
	_, err := c.Root("order/7").Put(ctx, "paid", []byte("yes"))
	if id, unknown := appclient.OpOf(err); unknown {
		outcome, err := c.Status(ctx, id)
		if err != nil {
			log.Fatal(err) // ask again
		}
		switch outcome.State {
		case appclient.Applied:
			fmt.Println("done")
		case appclient.Refused, appclient.NeverApplied:
			fmt.Println("surely not done: do it again")
		case appclient.Forgotten:
			fmt.Println("too late to tell: look at the object")
		}
	}
}

// Follow what happens to all orders, and go on later where it stopped.
func ExampleClient_Watch() {
	ctx, c, end := example()
	defer end()
	w := c.Watch(appclient.WatchOptions{Prefix: "order/"})
	if err := w.Begin(ctx); err != nil {
		log.Fatal(err)
	}
	for i := range 3 {
		if _, err := c.Root("order/7").Put(ctx, fmt.Sprint("line/", i), []byte("apples")); err != nil {
			log.Fatal(err)
		}
	}
	for ev, err := range w.Events(ctx) {
		if err != nil {
			log.Fatal(err) // ErrCompacted: read what there is, and begin anew
		}
		fmt.Println(ev.Kind, ev.Root, ev.Path, ev.Revision)
		if ev.Revision == 2 {
			break
		}
	}
	token := w.Token() // keep it with what was made of the events
	for ev, err := range c.Watch(appclient.WatchOptions{Prefix: "order/", From: token}).Events(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("later:", ev.Kind, ev.Root, ev.Path, ev.Revision)
		break
	}
	// Output:
	// written order/7 line/0 1
	// written order/7 line/1 2
	// later: written order/7 line/2 3
}

// Find objects by a field, which `ringctl index` declared.
func ExampleClient_Query() {
	ctx, c, end := example()
	defer end()
	for name, age := range map[string]int{"ann": 31, "bob": 17, "cid": 44} {
		if _, err := c.Root("user/"+name).Put(ctx, "", fmt.Appendf(nil, `{"age": %d}`, age)); err != nil {
			log.Fatal(err)
		}
	}
	for m, err := range c.Query(ctx, appclient.Query{Index: "age", From: appclient.NumberKey(18)}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.Root, m.Key.Value())
	}
	// Output:
	// user/ann 31
	// user/cid 44
}

// Read everything in order, from whatever replica, and look for references that
// lead nowhere.
func ExampleClient_Scan() {
	ctx, c, end := example()
	defer end()
	if _, err := c.Root("order/1").Put(ctx, "", []byte("new"), appclient.WithRefs(appclient.Ref{Root: "customer/3"})); err != nil {
		log.Fatal(err)
	}
	for o, err := range c.Scan(ctx, appclient.ScanOptions{Prefix: "order/", Read: appclient.Stale(time.Second)}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s %q %s\n", o.Root, o.Path, o.Value)
	}
	for d, err := range c.Dangling(ctx, "order/") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s refers to %s, which is not there\n", d.From.Root, d.To.Root)
	}
	// Output:
	// order/1 "" new
	// order/1 refers to customer/3, which is not there
}
