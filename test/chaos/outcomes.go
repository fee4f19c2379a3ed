package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
)

// outcomes are writes with so little time that many end without an answer. What
// became of those is asked for; what is told then is what is there in the end.
type outcomes struct {
	meter *meter
	each  [outcomeClients][]settled
	wrong complaints
}

// settled is an object with what was told of its only write.
type settled struct {
	path string
	told appclient.State
	ask  bool // told when asked for, not by the write
}

const outcomeClients = 2

func (k *outcomes) clients() int { return outcomeClients }

func outcomeRoot(i int) string { return fmt.Sprintf("outcome/%d", i) }

func (k *outcomes) run(ctx context.Context, c *appclient.Client, id int) {
	rng := rand.New(rand.NewPCG(9, uint64(id)))
	root := c.Root(outcomeRoot(id))
	for n := 0; ctx.Err() == nil; n++ {
		var op appclient.OpID
		if k.meter.do(ctx, func(ctx context.Context) (err error) {
			op, err = root.NewOp(ctx)
			return err
		}) != applied {
			continue
		}
		s := settled{path: fmt.Sprint(n)}
		err := put(ctx, root.WithOp(op), s.path, time.Duration(rng.Int64N(int64(60*time.Millisecond))))
		if err == nil {
			s.told = appclient.Applied
		}
		if s.ask = err != nil || n%16 == 0; s.ask && !k.status(ctx, c, op, &s) {
			continue // asked in vain: nothing is known
		}
		c.Release(op)
		k.each[id] = append(k.each[id], s)
	}
}

// put writes within a time, which ends the wait for the answer and not the write.
func put(ctx context.Context, root appclient.Root, path string, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	_, err := root.Put(ctx, path, []byte(path))
	return err
}

// status asks what became of a write.
func (k *outcomes) status(ctx context.Context, c *appclient.Client, op appclient.OpID, s *settled) bool {
	var out *appclient.Outcome
	if k.meter.do(ctx, func(ctx context.Context) (err error) {
		out, err = c.Status(ctx, op)
		return err
	}) != applied {
		return false
	}
	k.check(s, out.State)
	return true
}

// check looks at what is told of a write that was asked for.
func (k *outcomes) check(s *settled, now appclient.State) {
	if s.told == appclient.Applied && now != appclient.Applied && now != appclient.Forgotten {
		k.wrong.add("%s was acknowledged, and is told as %s when asked for", s.path, now)
	}
	if s.told != appclient.Applied {
		s.told = now
	}
}

func (k *outcomes) judge(ctx context.Context, c *appclient.Client, v *Verdict) error {
	k.wrong.judge(v)
	for id := range k.each {
		root := c.Root(outcomeRoot(id))
		there := make(map[string]bool)
		for e, err := range root.List(ctx, appclient.ListOptions{}) {
			if err != nil {
				return fmt.Errorf("list %s: %w", root.Name(), err)
			}
			there[e.Path] = true
		}
		for _, s := range k.each[id] {
			switch {
			case s.told == appclient.Applied && !there[s.path]:
				v.complain(&v.Lost, 1, "root %s: %s was told as %s (asked for: %v) and is not there", root.Name(), s.path, s.told, s.ask)
			case (s.told == appclient.NeverApplied || s.told == appclient.Refused) && there[s.path]:
				v.complain(&v.Wrong, 1, "root %s: %s was told as %s and is there", root.Name(), s.path, s.told)
			}
		}
	}
	return nil
}
