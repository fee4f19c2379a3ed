// Command bank moves money between accounts of one root from many goroutines, in
// transactions, counts the moves in a counter, and shows that no money was made or
// lost. The cluster is described by the file cluster.json in the directory of
// `ringctl dev up --dir DIR`: -dev FILE or ROSTERDB_DEV. Kill a data node meanwhile
// (`ringctl dev restart`), and see that it does not mind.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
)

const (
	accounts = 8
	deposit  = 100
)

func main() {
	log.SetFlags(0)
	dev := flag.String("dev", os.Getenv("ROSTERDB_DEV"), "cluster.json of a development cluster")
	clerks := flag.Int("clerks", 8, "goroutines that move money")
	moves := flag.Int("moves", 50, "moves of each")
	flag.Parse()
	if *dev == "" {
		log.Fatal(`bank: no cluster is named. Start one and name it:
    go run ./cli/ringctl dev up --dir ./dev
    export ROSTERDB_DEV=$PWD/dev/cluster.json`)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cfg, err := appclient.FromDev(*dev)
	if err == nil {
		err = run(ctx, cfg, *clerks, *moves)
	}
	if err != nil {
		log.Fatal("bank: ", err)
	}
}

func run(ctx context.Context, cfg appclient.Config, clerks, moves int) error {
	client, err := appclient.Dial(ctx, cfg)
	if err != nil {
		return err
	}
	defer client.Close()

	bank := client.Root(fmt.Sprintf("bank/%d", time.Now().UnixNano()))
	var open []appclient.Mutation
	for i := range accounts {
		open = append(open, appclient.Put(account(i), strconv.AppendInt(nil, deposit, 10), appclient.IfAbsent()))
	}
	if _, err := bank.Batch(ctx, open...); err != nil {
		return err
	}
	errs := make(chan error, clerks)
	var wg sync.WaitGroup
	for range clerks {
		wg.Go(func() { errs <- work(ctx, bank, moves) })
	}
	wg.Wait()
	for range clerks {
		if err := <-errs; err != nil {
			return err
		}
	}
	return audit(ctx, bank, clerks*moves)
}

func account(i int) string { return fmt.Sprintf("account/%d", i) }

// work moves small amounts between random accounts.
func work(ctx context.Context, bank appclient.Root, moves int) error {
	for range moves {
		from, to := rand.IntN(accounts), rand.IntN(accounts-1)
		if to >= from {
			to++
		}
		err := bank.Update(ctx, func(tx *appclient.Tx) error {
			tx.Add("moves", 1) // in the same transaction: exactly one a move
			return transfer(tx, account(from), account(to), 1+rand.IntN(5))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func transfer(tx *appclient.Tx, from, to string, amount int) error {
	for path, by := range map[string]int{from: -amount, to: amount} {
		o, err := tx.Get(path)
		if err != nil {
			return err
		}
		balance, err := strconv.Atoi(string(o.Value))
		if err != nil {
			return err
		}
		tx.Put(path, strconv.AppendInt(nil, int64(balance+by), 10))
	}
	return nil
}

// audit adds up what there is.
func audit(ctx context.Context, bank appclient.Root, want int) error {
	sum := 0
	for o, err := range bank.Objects(ctx, appclient.ListOptions{Prefix: "account/"}) {
		if err != nil {
			return err
		}
		balance, err := strconv.Atoi(string(o.Value))
		if err != nil {
			return err
		}
		fmt.Printf("%s %4d\n", o.Path, balance)
		sum += balance
	}
	moves, err := bank.Increment(ctx, "moves", 0)
	if err != nil {
		return err
	}
	fmt.Printf("%d in all, %d moves counted\n", sum, moves)
	if sum != accounts*deposit || moves != int64(want) {
		return fmt.Errorf("there should be %d, and %d moves", accounts*deposit, want)
	}
	return nil
}
