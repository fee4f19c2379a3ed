package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/rosterdb/rosterdb/appclient"
)

// transfers are transactions (Update) that move an amount from one account of a root to another and count themselves.
// The sum of the accounts stays 0 whatever happens, and the count is that of the transactions that took effect.
type transfers struct {
	meter *meter
	each  [transferRoots]tally
	wrong complaints
}

const (
	transferRoots    = 2
	transferAccounts = 6
	transferClients  = 3
	transferCount    = "count"
)

func (k *transfers) clients() int { return transferClients }

func transferRoot(i int) string { return fmt.Sprintf("transfer/%d", i) }

func account(i int) string { return fmt.Sprint("account/", i) }

func (k *transfers) run(ctx context.Context, c *appclient.Client, id int) {
	rng := rand.New(rand.NewPCG(12, uint64(id)))
	for ctx.Err() == nil {
		i, from, to, amount := rng.IntN(transferRoots), rng.IntN(transferAccounts), rng.IntN(transferAccounts-1), rng.Int64N(100)
		if to >= from {
			to++
		}
		k.each[i].note(k.meter.do(ctx, func(ctx context.Context) error {
			return c.Root(transferRoot(i)).Update(ctx, func(tx *appclient.Tx) error {
				return transfer(tx, account(from), account(to), amount)
			})
		}), 1)
		if rng.IntN(8) == 0 {
			k.look(ctx, c, i)
		}
	}
}

func transfer(tx *appclient.Tx, from, to string, amount int64) error {
	for _, change := range []struct {
		path string
		by   int64
	}{{from, -amount}, {to, amount}, {transferCount, 1}} {
		o, err := tx.Get(change.path)
		if err != nil && !errors.Is(err, appclient.ErrNotFound) {
			return err
		}
		have, err := balance(o)
		if err != nil {
			return err
		}
		tx.Put(change.path, strconv.AppendInt(nil, have+change.by, 10))
	}
	return nil
}

// balance is what an object holds; 0 where there is none.
func balance(o *appclient.Object) (int64, error) {
	if o == nil {
		return 0, nil
	}
	return strconv.ParseInt(string(o.Value), 10, 64)
}

// look reads a root in one page: at no moment is anything on its way.
func (k *transfers) look(ctx context.Context, c *appclient.Client, i int) {
	var sum int64
	if k.meter.do(ctx, func(ctx context.Context) (err error) {
		sum, _, err = balances(ctx, c, i)
		return err
	}) == applied {
		k.check(i, sum)
	}
}

func (k *transfers) check(i int, sum int64) {
	if sum != 0 {
		k.wrong.add("the accounts of %s come to %d, not to 0", transferRoot(i), sum)
	}
}

// balances are the sum of the accounts, and the count.
func balances(ctx context.Context, c *appclient.Client, i int) (sum, count int64, err error) {
	for o, err := range c.Root(transferRoot(i)).Objects(ctx, appclient.ListOptions{}) {
		if err != nil {
			return 0, 0, err
		}
		have, err := balance(o)
		if err != nil {
			return 0, 0, err
		}
		if o.Path == transferCount {
			count = have
		} else {
			sum += have
		}
	}
	return sum, count, nil
}

func (k *transfers) judge(ctx context.Context, c *appclient.Client, v *Verdict) error {
	for i := range k.each {
		sum, count, err := balances(ctx, c, i)
		if err != nil && !errors.Is(err, appclient.ErrNotFound) {
			return fmt.Errorf("read %s: %w", transferRoot(i), err)
		}
		k.check(i, sum)
		k.each[i].judge(v, transferRoot(i), count)
	}
	k.wrong.judge(v)
	return nil
}
