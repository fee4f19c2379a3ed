package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// model does the same random things to a store and to a Memory, and compares all that they say.
func model(ctx context.Context, s store.Store) error {
	seed := uint64(time.Now().UnixNano())
	for round := range 4 {
		p := play{rnd: rand.New(rand.NewPCG(seed, uint64(round))), keys: 5 << (3 * round)}
		m := NewMemory(s.Domain())
		for step := range 60 {
			if err := p.step(ctx, s, m); err != nil {
				return fmt.Errorf("seed %d, round %d, step %d: %w", seed, round, step, err)
			}
		}
		for _, o := range p.owners() {
			if err := s.Update(ctx, o, func(tx store.Tx) error { return tx.Drop() }); err != nil {
				return err
			}
		}
	}
	return nil
}

type play struct {
	rnd  *rand.Rand
	keys int // how many different ones
}

func (p *play) owners() []string { return []string{"", "a", "ab", "a\x01"} }

func (p *play) owner() string      { return p.owners()[p.rnd.IntN(4)] }
func (p *play) collection() string { return []string{"c", "d"}[p.rnd.IntN(2)] }
func (p *play) key() []byte        { return fmt.Appendf(nil, "%d", p.rnd.IntN(p.keys)) }

func (p *play) rng() store.Range {
	r := store.Range{From: p.key(), To: p.key(), Reverse: p.rnd.IntN(2) == 0}
	switch p.rnd.IntN(4) {
	case 0:
		r.From = nil
	case 1:
		r.To = nil
	}
	return r
}

// op is one operation on a transaction; it returns what it saw.
type op func(store.Tx) (string, error)

func (p *play) op() op {
	c, k, r := p.collection(), p.key(), p.rng()
	v := []byte(strings.Repeat(string('a'+rune(p.rnd.IntN(26))), p.rnd.IntN(300)))
	switch n := p.rnd.IntN(100); {
	case n < 60:
		return func(tx store.Tx) (string, error) { return "", tx.Put(c, k, v) }
	case n < 70:
		return func(tx store.Tx) (string, error) { return "", tx.Delete(c, k) }
	case n < 74:
		return func(tx store.Tx) (string, error) {
			n, err := tx.DeleteRange(c, r)
			return fmt.Sprint(n), err
		}
	case n < 75:
		return func(tx store.Tx) (string, error) { return "", tx.Drop() }
	case n < 90:
		return func(tx store.Tx) (string, error) {
			got, err := scan(tx, c, r)
			return fmt.Sprint(got), err
		}
	default:
		return func(tx store.Tx) (string, error) {
			b, err := tx.Get(c, k)
			if errors.Is(err, store.ErrNotFound) {
				return "none", nil
			}
			return string(b), err
		}
	}
}

// step does one update, which fails every third time, and looks at everything.
func (p *play) step(ctx context.Context, s, m store.Store) error {
	var ops []op
	for range 1 + p.rnd.IntN(1+p.keys/2) {
		ops = append(ops, p.op())
	}
	mine := errors.New("mine")
	fails, owner := p.rnd.IntN(3) == 0, p.owner()
	do := func(s store.Store) (seen []string) {
		err := s.Update(ctx, owner, func(tx store.Tx) error {
			seen = nil
			for _, op := range ops {
				got, err := op(tx)
				if err != nil {
					return err
				}
				seen = append(seen, got)
			}
			if fails {
				return mine
			}
			return nil
		})
		return append(seen, fmt.Sprint(err))
	}
	got, want := do(s), do(m)
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			return fmt.Errorf("an update of %q saw at operation %d %.200q, want %.200q", owner, i, got[min(i, len(got)):], want[i])
		}
	}
	for _, o := range p.owners() {
		for _, c := range []string{"c", "d"} {
			want, err := dump(ctx, m, o, c)
			if err := errors.Join(err, holds(ctx, s, o, c, want...)); err != nil {
				return err
			}
		}
	}
	return nil
}
